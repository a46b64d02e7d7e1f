/**
 * The shapes of the OCI image-spec (and of Docker's image manifest, version 2, schema 2, which differs
 * in media types only), and the one small interface that every place an image can be in has.
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/spec.md
 * @module
 */

/** `sha256:` and 64 lower-case hexadecimal digits, or `sha512:` and 128. descriptor.md, "Digests" */
export type Digest = `sha256:${string}` | `sha512:${string}`;

/** What a document says of another, or of a blob: descriptor.md. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  /** In an index. */
  readonly platform?: Platform;
}

/** A machine an image is for, by Go's names: `linux`, `arm64`, `v8`. image-index.md */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly "os.version"?: string;
  readonly "os.features"?: readonly string[];
}

/** image-index.md; Docker's manifest list. */
export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** manifest.md; Docker's image manifest. */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly config: Descriptor;
  /** The lowest first. */
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** config.md: the image's own configuration document. */
export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  /** RFC 3339. */
  readonly created?: string;
  readonly author?: string;
  readonly config?: ExecutionConfig;
  readonly rootfs: { readonly type: "layers"; readonly diff_ids: readonly Digest[] };
  readonly history?: readonly HistoryEntry[];
}

/** What a container of the image starts with, unless told otherwise. */
export interface ExecutionConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  /** Docker's. */
  readonly Healthcheck?: Healthcheck;
  /** Docker's: the shell form's shell, and triggers of a build. */
  readonly Shell?: readonly string[];
  readonly OnBuild?: readonly string[];
}

/** Docker's health check; times in nanoseconds. */
export interface Healthcheck {
  readonly Test?: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

/** How one layer came to be, or a step of a build that made none. */
export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** A document as its bytes, which are what its digest is of, and the descriptor that leads to it. */
export interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** How a blob is read. */
export interface BlobOptions {
  readonly offset?: number;
  readonly signal?: AbortSignal;
  /** The reader checks the digest: nobody else needs to. */
  readonly unchecked?: boolean;
}

/**
 * An image somewhere: in a registry, in the store, in an archive. Whoever reads one gets only what is
 * checked: a document's digest and size before it is returned, a blob's at the end of its stream,
 * which errors instead of closing when they differ.
 */
export interface ImageSource {
  /** For messages: `docker.io/library/alpine:latest`, `archive.tar`. */
  readonly name: string;
  /** The document the name leads to: an index or a manifest. @throws {CrateError} `NOT_FOUND` */
  root(): Promise<Document>;
  /** A document that another one leads to. @throws {CrateError} when it is not what it should be. */
  document(descriptor: Descriptor): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * A blob's bytes from `offset` on. From an offset its digest cannot be checked by the source: the
   * reader who has the beginning does that.
   */
  blob(
    descriptor: Descriptor,
    options?: BlobOptions,
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
}

/** Where an image can be written to. What is there already is not sent again. */
export interface ImageSink {
  readonly name: string;
  hasBlob(descriptor: Descriptor): Promise<boolean>;
  /**
   * Writes a blob whole or not at all.
   *
   * @param data asked for when the blob is not there yet, and again when it has to be sent again.
   * @returns whether it was sent; it may be there already.
   */
  putBlob(
    descriptor: Descriptor,
    data: () => Promise<ReadableStream<Uint8Array<ArrayBuffer>>>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<boolean>;
  /** Writes a manifest, or an index after all its manifests. */
  putDocument(document: Document): Promise<void>;
  /** Gives the sink's name to a document that was put: the last step. */
  putRoot(document: Document): Promise<void>;
}

/** What a long operation tells as it goes on; a terminal draws it, a pipe gets lines of it. */
export type Progress =
  | { readonly type: "blob"; readonly digest: Digest; readonly state: BlobState }
  | {
    readonly type: "bytes";
    readonly digest: Digest;
    /** Bytes of the blob so far. */
    readonly done: number;
    readonly total: number;
  }
  | { readonly type: "message"; readonly text: string };

/** Where a blob is on its way. */
export type BlobState =
  | "waiting"
  | "exists"
  | "downloading"
  | "unpacking"
  | "uploading"
  | "done"
  | "failed";
