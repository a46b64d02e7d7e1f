import { encodeText } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import {
  encodeDocument,
  isIndexType,
  OCI_INDEX,
  parseIndex,
  parseManifest,
} from "../documents/mod.ts";
import { digestHex } from "../names/mod.ts";
import type { Descriptor, Digest, ImageSource } from "../types.ts";
import { byteStringOf, NO_XATTRS, TAR_END, tarHeader, tarPadding } from "../tar/mod.ts";
import { inflate, sniffed } from "../unpack/mod.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What an archive is for: `docker load` and podman, or whatever reads an OCI layout. */
export type ArchiveFormat = "docker-archive" | "oci-archive";

/** An image that is written into an archive. */
export interface SavedImage {
  readonly source: ImageSource;
  /** Canonical references that it gets; an image may have none. */
  readonly names: readonly string[];
  /** The one manifest that is written; undefined: all that the source's root leads to. */
  readonly manifest?: Descriptor;
  /** Of docker-archive: the layers' uncompressed sizes, the lowest first. */
  readonly sizes?: readonly number[];
}

/** How an archive is written. */
export interface WriteOptions {
  readonly format: ArchiveFormat;
  /** Takes the next bytes. */
  readonly write: (bytes: Bytes) => void;
  readonly signal?: AbortSignal;
}

/**
 * Writes images as one tar archive. The same images make the same bytes.
 *
 * @throws {CrateError}
 */
export async function writeArchive(
  images: readonly SavedImage[],
  { format, write, signal }: WriteOptions,
): Promise<void> {
  const archive = new ArchiveWriter(write, signal);
  if (format === "docker-archive") await writeDocker(images, archive);
  else await writeOci(images, archive);
  write(TAR_END);
}

/** Files of an archive, each written once. */
class ArchiveWriter {
  readonly #write: (bytes: Bytes) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #written = new Set<string>();

  constructor(write: (bytes: Bytes) => void, signal: AbortSignal | undefined) {
    this.#write = write;
    this.#signal = signal;
  }

  has(path: string): boolean {
    return this.#written.has(path);
  }

  file(path: string, content: Bytes | string): void {
    if (this.has(path)) return;
    const bytes = typeof content === "string" ? encodeText(content) : content;
    this.#begin(path, bytes.length);
    this.#write(bytes);
    this.#write(tarPadding(bytes.length));
  }

  /** @throws {CrateError} when what comes has another size. */
  async stream(path: string, size: number, content: AsyncIterable<Bytes>): Promise<void> {
    this.#begin(path, size);
    let done = 0;
    for await (const bytes of content) {
      this.#signal?.throwIfAborted();
      done += bytes.length;
      if (done > size) break;
      this.#write(bytes);
    }
    if (done !== size) {
      throw new CrateError("FAILED", `${path} has not the ${size} bytes that it should have`);
    }
    this.#write(tarPadding(size));
  }

  #begin(path: string, size: number): void {
    this.#signal?.throwIfAborted();
    this.#written.add(path);
    const entry = { ...PLAIN, path: byteStringOf(path), size };
    this.#write(tarHeader(entry));
  }
}

const PLAIN = {
  type: "file",
  linkPath: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  major: 0,
  minor: 0,
  xattrs: NO_XATTRS,
} as const;

/** `manifest.json`, configurations and uncompressed layers, by their digests. */
async function writeDocker(images: readonly SavedImage[], archive: ArchiveWriter): Promise<void> {
  const list: { Config: string; RepoTags: readonly string[]; Layers: string[] }[] = [];
  for (const { source, names, manifest, sizes } of images) {
    const { descriptor, bytes } = manifest === undefined
      ? await source.root()
      : { descriptor: manifest, bytes: await source.document(manifest) };
    const { config, layers } = parseManifest(bytes, descriptor.mediaType, source.name);
    const configBytes = await source.document(config);
    const { rootfs } = JSON.parse(new TextDecoder().decode(configBytes));
    const diffIds = rootfs.diff_ids as Digest[];
    const paths = diffIds.map((diffId) => `${digestHex(diffId)}.tar`);
    for (const [i, path] of paths.entries()) {
      if (archive.has(path)) continue;
      const { compression, all } = await sniffed(await source.blob(layers[i]!));
      await archive.stream(path, sizes![i]!, inflate(all, compression));
    }
    const configPath = `${digestHex(config.digest)}.json`;
    archive.file(configPath, configBytes);
    list.push({ Config: configPath, RepoTags: names, Layers: paths });
  }
  archive.file("manifest.json", JSON.stringify(list));
}

/** An OCI image layout. */
async function writeOci(images: readonly SavedImage[], archive: ArchiveWriter): Promise<void> {
  archive.file("oci-layout", '{"imageLayoutVersion":"1.0.0"}');
  const manifests: Descriptor[] = [];
  for (const { source, names, manifest } of images) {
    const { annotations: _, ...root } = manifest ?? (await source.root()).descriptor;
    await writeDocument(source, root, archive);
    const named = names.map((name) => ({
      ...root,
      annotations: {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name,
      },
    }));
    manifests.push(...named.length === 0 ? [root] : named);
  }
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests } as const;
  archive.file("index.json", encodeDocument(index));
}

/** A document after all that it leads to. */
async function writeDocument(
  source: ImageSource,
  descriptor: Descriptor,
  archive: ArchiveWriter,
): Promise<void> {
  const path = pathOf(descriptor);
  if (archive.has(path)) return;
  const bytes = await source.document(descriptor);
  if (isIndexType(descriptor.mediaType)) {
    for (const inner of parseIndex(bytes, descriptor.mediaType, source.name).manifests) {
      await writeDocument(source, inner, archive);
    }
  } else {
    const { config, layers } = parseManifest(bytes, descriptor.mediaType, source.name);
    for (const blob of [config, ...layers]) {
      if (archive.has(pathOf(blob))) continue;
      await archive.stream(pathOf(blob), blob.size, await source.blob(blob));
    }
  }
  archive.file(path, bytes);
}

const pathOf = ({ digest }: Descriptor) => `blobs/${digest.replace(":", "/")}`;
