import { close, S_IFREG, syscall } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { chunksOf, keep, openFile, refuseForeign } from "./archive/mod.ts";
import {
  applyChanges,
  digestOf,
  encodeDocument,
  Hasher,
  OCI_CONFIG,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
} from "./documents/mod.ts";
import { hostPlatform } from "./names/mod.ts";
import { type Pulled, pullImage, type PullOptions } from "./pull.ts";
import { canonicalName, type Store } from "./store/mod.ts";
import type {
  Descriptor,
  Digest,
  Document,
  ExecutionConfig,
  HistoryEntry,
  ImageConfig,
  ImageSource,
  Platform,
} from "./types.ts";
import { inflate, sniffed, statusOf } from "./unpack/mod.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const CHUNK = 1 << 18;
const TYPES = { none: OCI_LAYER, gzip: OCI_LAYER_GZIP, zstd: OCI_LAYER_ZSTD } as const;
/** A layer that lies in a file. */
export interface LayerFile {
  readonly fd: number;
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
}

/** What an image is made with, beside its layers. */
export interface NewImage {
  readonly config: ExecutionConfig;
  readonly platform: Platform;
  readonly author?: string;
  /** RFC 3339. */
  readonly created: string;
  readonly history: readonly HistoryEntry[];
}

/** How a root filesystem becomes an image. */
export interface ImportOptions extends PullOptions {
  /** Instructions of a Dockerfile: `CMD ["/bin/sh"]`. */
  readonly changes?: readonly string[];
  /** For the history. */
  readonly message?: string;
}

/**
 * Makes an image of one layer from an archive of a root filesystem: tar, plain or compressed by gzip or
 * zstd.
 *
 * @param path undefined: standard input.
 * @param name what it is called; undefined: nothing.
 * @throws {CrateError} @throws the signal's reason
 */
export async function importImage(
  store: Store,
  path: string | undefined,
  name: string | undefined,
  { changes = [], message, platform, ...options }: ImportOptions = {},
): Promise<Pulled> {
  const config = applyChanges({}, changes);
  if (name !== undefined) canonicalName(name);
  using stack = new DisposableStack();
  const input = path === undefined ? 0 : stack.adopt(openFile(path), close);
  let fd = input;
  if (statusOf(input).type !== S_IFREG) {
    fd = stack.adopt(store.temporary(), close);
    for await (const bytes of chunksOf(input, path === undefined, options.signal)) {
      keep(fd, bytes, path ?? "standard input");
    }
  }
  const layer = await describeLayer(fd, path ?? "standard input", options.signal);
  const created = new Date().toISOString();
  const image: NewImage = {
    config,
    platform: platform ?? hostPlatform(),
    created,
    history: [{
      created,
      created_by: `crate import ${path ?? "-"}`,
      ...message !== undefined && { comment: message },
    }],
  };
  const source = newImage(name ?? "the new image", image, [], [layer]);
  return await pullImage(store, source, name, options);
}

async function describeLayer(
  fd: number,
  name: string,
  signal: AbortSignal | undefined,
): Promise<LayerFile> {
  const whole = new Hasher("sha256");
  let size = 0;
  const counted = async function* () {
    for await (const bytes of fileChunks(fd)) {
      signal?.throwIfAborted();
      whole.update(bytes);
      size += bytes.length;
      yield bytes;
    }
  };
  const { compression, all } = await sniffed(counted());
  if (compression === "none") refuseForeign(fd, name);
  const plain = new Hasher("sha256");
  for await (const bytes of inflate(all, compression)) plain.update(bytes);
  return {
    fd,
    diffId: await plain.digest(),
    descriptor: {
      mediaType: TYPES[compression],
      digest: await whole.digest(),
      size,
    },
  };
}

async function* fileChunks(fd: number, offset = 0): AsyncGenerator<Bytes> {
  for (let at = offset;;) {
    const chunk = new Uint8Array(CHUNK);
    const count = syscall("pread64", fd, chunk, chunk.length, at);
    if (count === 0) return;
    at += count;
    yield chunk.subarray(0, count);
  }
}

/** An image that others are below of: its layers, and what comes on top of them. */
export interface Below {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
}

/** A new image as a source: of layers that the store has, and of layers in files above them. */
export function newImage(
  name: string,
  { config, platform, author, created, history }: NewImage,
  below: readonly Below[],
  above: readonly LayerFile[],
): ImageSource {
  const layers = [...below, ...above];
  const document: ImageConfig = {
    created,
    ...author !== undefined && { author },
    architecture: platform.architecture,
    os: platform.os,
    ...platform.variant !== undefined && { variant: platform.variant },
    config,
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history,
  };
  const configBytes = encodeDocument(document);
  const configDescriptor = {
    mediaType: OCI_CONFIG,
    digest: digestOf(configBytes),
    size: configBytes.length,
  };
  const bytes = encodeDocument({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: configDescriptor,
    layers: layers.map(({ descriptor }) => descriptor),
  });
  const root: Document = {
    descriptor: { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length },
    bytes,
  };
  const files = new Map(above.map((layer) => [layer.descriptor.digest, layer.fd]));
  return {
    name,
    root: () => Promise.resolve(root),
    document: () => Promise.resolve(configBytes),
    blob({ digest }, { offset = 0 } = {}) {
      const fd = files.get(digest);
      if (fd !== undefined) return Promise.resolve(ReadableStream.from(fileChunks(fd, offset)));
      return Promise.reject(new CrateError("NOT_FOUND", `${name}: ${digest} is not in the store`));
    },
  };
}
