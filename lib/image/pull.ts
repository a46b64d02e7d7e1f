import { CrateError } from "../errors.ts";
import {
  chainIds,
  isIndexType,
  parseImageConfig,
  parseIndex,
  parseManifest,
} from "./documents/mod.ts";
import { begin, fetchLayers, loadUnpacking } from "./layers.ts";
import { formatPlatform, hostPlatform, normalizePlatform, selectPlatform } from "./names/mod.ts";
import type { Found, Store } from "./store/mod.ts";
import type { Digest, Document, ImageConfig, ImageSource, Platform, Progress } from "./types.ts";

/** How an image is pulled. */
export interface PullOptions {
  /** Default: this machine's. */
  readonly platform?: Platform;
  readonly progress?: (event: Progress) => void;
  readonly signal?: AbortSignal;
}

/** What came of a pull. */
export interface Pulled {
  /** The digest of the document that the name leads to. */
  readonly digest: Digest;
  /** What the store has by the name now; looked up when it is asked for. @throws {CrateError} */
  readonly found: Found;
}

/** index.md lets an index lead to an index; nobody has more than two. */
const MAX_DEPTH = 4;

/**
 * Brings an image into the store, unpacked, under a name: checked in every part, and there as a whole or
 * not at all. What the store has of it already is not fetched again.
 *
 * @param word the name that it gets in the store; undefined: none.
 * @throws {CrateError} @throws the signal's reason
 */
export async function pullImage(
  store: Store,
  source: ImageSource,
  word: string | undefined,
  { platform, progress, signal }: PullOptions = {},
): Promise<Pulled> {
  // The registry answers while the store makes ready.
  const [opened, asked] = await Promise.allSettled([store.sink(word, signal), source.root()]);
  using sink = fulfilled(opened);
  const root = fulfilled(asked);
  const documents: Document[] = [root];
  let leaf = root;
  for (let depth = 0; isIndexType(leaf.descriptor.mediaType); depth++) {
    if (depth === MAX_DEPTH) {
      throw new CrateError("INVALID", `${source.name} has indexes in indexes, more than ${depth}`);
    }
    const index = parseIndex(leaf.bytes, leaf.descriptor.mediaType, source.name);
    const wanted = platform ?? hostPlatform();
    const descriptor = selectPlatform(index.manifests, wanted, source.name);
    leaf = { descriptor, bytes: await source.document(descriptor) };
    documents.push(leaf);
  }
  const manifest = parseManifest(leaf.bytes, leaf.descriptor.mediaType, source.name);
  const { config: descriptor, layers } = manifest;
  // The first layer is on its way while the configuration tells what to make of it.
  const begun = layers[0] && begin(store, source, layers[0], signal);
  // What cannot be loaded is an error where it is needed.
  const loading = begun && loadUnpacking(layers).catch(() => {});
  try {
    const bytes = await source.document(descriptor);
    const config = parseImageConfig(bytes, layers.length, source.name);
    if (platform !== undefined && documents.length === 1) {
      requirePlatform(config, platform, source.name);
    }
    const list = { layers, diffIds: config.rootfs.diff_ids };
    // All at once is one wait for the store's lock.
    const parts = [descriptor, ...layers, ...documents.map((document) => document.descriptor)];
    await sink.lease.hold([
      ...parts.map(({ digest }) => digest),
      ...chainIds(list.diffIds),
    ]);
    // The disk takes the documents while the layers come.
    const results = await Promise.allSettled([
      fetchLayers(store, sink.lease, source, list, { begun, progress, signal }),
      ...[{ descriptor, bytes }, ...documents].map((document) => sink.putDocument(document)),
    ]);
    results.forEach(fulfilled);
  } finally {
    begun?.stop.abort();
    await loading;
  }
  signal?.throwIfAborted();
  await sink.putRoot(root);
  const { digest } = root.descriptor;
  return {
    digest,
    get found() {
      return store.find(word ?? digest, { platform });
    },
  };
}

/** What a promise has given. @throws why it has not. */
function fulfilled<T>(result: PromiseSettledResult<T>): T {
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

/** A name that leads to one image may lead to another machine's. */
function requirePlatform(config: ImageConfig, platform: Platform, name: string): void {
  const { os, architecture, variant } = config;
  const own = normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) });
  const wanted = normalizePlatform(platform);
  if (own.os === wanted.os && own.architecture === wanted.architecture) return;
  throw new CrateError(
    "NOT_FOUND",
    `${name} is for ${formatPlatform(own)} alone, not for ${formatPlatform(wanted)}`,
  );
}
