import { CrateError } from "../errors.ts";
import { chainIds, Hasher } from "./documents/mod.ts";
import { digestAlgorithm } from "./names/mod.ts";
import {
  contentOf,
  type Image,
  type Lease,
  type NewLayer,
  type Partial,
  type Store,
} from "./store/mod.ts";
import type { Descriptor, Digest, ImageSource, Progress } from "./types.ts";
import { ownXattrs } from "./unpack/mod.ts";
import { pause } from "../timers.ts";
import { Download } from "./download.ts";

/** How many blobs come at the same time. */
const PARALLEL = 3;
/** As much of a blob comes before anybody takes it. Bytes. */
const AHEAD = 1 << 20;

/** An image's layers, the lowest first. */
export interface LayerList {
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
}

/** A layer's blob that was asked for before it was known what to do with it. */
export interface Begun {
  readonly digest: Digest;
  readonly stream: Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** Ends it. */
  readonly stop: AbortController;
}

/** Asks for a blob, if the store does not have it. */
export function begin(
  store: Store,
  source: ImageSource,
  layer: Descriptor,
  signal?: AbortSignal,
): Begun | undefined {
  if (store.hasBlob(layer)) return undefined;
  const stop = new AbortController();
  const signals = signal === undefined ? [stop.signal] : [stop.signal, signal];
  const stream = source.blob(layer, { signal: AbortSignal.any(signals), unchecked: true })
    .then(readAhead);
  stream.catch(() => {}); // whoever needs it hears of it
  return { digest: layer.digest, stream, stop };
}

/** Until requests are out. Milliseconds. */
const SENDING = 1;

/** Loads what these layers need to be unpacked, while the registry thinks. */
export async function loadUnpacking(layers: readonly Descriptor[]): Promise<void> {
  await pause(SENDING);
  const { loadUnpacker } = await import("./unpack/mod.ts");
  const bySize = layers.toSorted((a, b) => a.size - b.size);
  for (const layer of new Set([bySize[0]!, bySize.at(-1)!])) await loadUnpacker(layer);
}

/** The same stream, of which some is read before anybody asks. */
function readAhead(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: AHEAD, size: ({ length }) => length });
}

/** How layers are fetched. */
export interface FetchOptions {
  readonly begun?: Begun | undefined;
  readonly progress?: (event: Progress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Brings an image's layers into the store: the blobs that are missing come a few at a time, each layer is
 * unpacked, on top of those below it, while its blob comes. What is there stays as it is.
 *
 * @throws {CrateError} nothing that is not whole is in the store then; what came of a blob is kept
 */
export async function fetchLayers(
  store: Store,
  lease: Lease,
  source: ImageSource,
  { layers, diffIds }: LayerList,
  { begun, progress = () => {}, signal }: FetchOptions = {},
): Promise<void> {
  const chain = chainIds(diffIds);
  await using stack = new AsyncDisposableStack();
  const { trees, partials } = await claim(store, lease, layers, chain, stack, signal);

  const stop = new AbortController();
  const stopped = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const downloads = new Map<Digest, Download>();
  for (const [digest, partial] of partials) downloads.set(digest, new Download(partial));
  for (const { digest } of layers) {
    progress({ type: "blob", digest, state: partials.has(digest) ? "waiting" : "exists" });
  }
  // Ended in whatever way before the files that it writes to are closed.
  const how = { begun, progress, signal: stopped };
  const fetching = fetchAll(source, downloads, partials, layers, how)
    .catch((error) => {
      stop.abort(error);
      throw error;
    });
  const ended = fetching.then(() => {}, () => {});
  stopped.addEventListener("abort", () => {
    begun?.stop.abort(stopped.reason);
    for (const download of downloads.values()) download.fail(stopped.reason);
  }, { once: true });
  // Somebody else has brought it meanwhile.
  if (begun !== undefined && !partials.has(begun.digest)) begun.stop.abort();

  const commits = new Map<Digest, Promise<void>>();
  const commit = (partial: Partial, digest: Digest) => {
    const committed = partial.commit(digest);
    committed.catch(() => {}); // whoever waits for all of them hears of it
    commits.set(digest, committed);
  };
  try {
    for (const [i, layer] of layers.entries()) {
      const { digest } = layer;
      const tree = trees.get(chain[i]!);
      trees.delete(chain[i]!);
      const partial = partials.get(digest);
      const download = downloads.get(digest);
      downloads.delete(digest);
      if (tree !== undefined) {
        progress({ type: "blob", digest, state: "unpacking" });
        // A layer may be there twice, and the first one's blob on its way to its name.
        if (download === undefined) await commits.get(digest);
        const { unpackLayer } = await import("./unpack/mod.ts");
        const lowers = chain.slice(0, i).reverse().map((id) => store.layer(id)!.path);
        const { size, entries } = await unpackLayer({
          source: download?.read() ?? store.blob(layer),
          descriptor: layer,
          diffId: diffIds[i]!,
          directory: tree.path,
          lowers,
          xattrs: ownXattrs(),
          signal: stopped,
        });
        await tree.commit({ size, entries });
        // Its digest was checked on the way.
        if (download !== undefined) commit(partial!, digest);
      } else if (download !== undefined) {
        commit(partial!, await digestOfStream(download.read(), layer));
      }
      progress({ type: "blob", digest, state: "done" });
    }
    await fetching;
    await Promise.all(commits.values());
  } catch (error) {
    stop.abort(error);
    await ended;
    await Promise.allSettled(commits.values());
    // A part that an earlier pull had left may have been the cause: nobody begins with it again.
    if (error instanceof CrateError && error.code === "INVALID") {
      for (const partial of partials.values()) if (partial.isOpen) partial.restart();
    }
    throw signal?.aborted ? signal.reason : error;
  }
}

/**
 * Unpacks again what of an image in the store is not unpacked: after a power failure its layers may be only
 * blobs.
 *
 * @throws {CrateError}
 */
export async function fetchMissing(store: Store, image: Image): Promise<void> {
  const { chainIds: chain, layers, config } = contentOf(image);
  if (chain.every((id) => store.layer(id) !== undefined)) return;
  using lease = await store.lease();
  await lease.hold(store.digests(image));
  const source = store.source(image.descriptor.digest);
  await fetchLayers(store, lease, source, { layers, diffIds: config.rootfs.diff_ids });
}

interface Claimed {
  readonly trees: Map<Digest, NewLayer>;
  readonly partials: Map<Digest, Partial>;
}

/**
 * Takes all that is to be made, in one order that every pull has: first the layers, then the blobs, each by
 * their digests. So two pulls that share some wait for each other, and never both at once.
 */
async function claim(
  store: Store,
  lease: Lease,
  layers: readonly Descriptor[],
  chain: readonly Digest[],
  stack: AsyncDisposableStack,
  signal?: AbortSignal,
): Promise<Claimed> {
  const trees = new Map<Digest, NewLayer>();
  for (const chainId of [...new Set(chain)].sort()) {
    const tree = await store.newLayer(lease, chainId, signal);
    if (tree !== undefined) trees.set(chainId, stack.use(tree));
  }
  const partials = new Map<Digest, Partial>();
  const byDigest = new Map(layers.map((layer) => [layer.digest, layer]));
  for (const digest of [...byDigest.keys()].sort()) {
    const partial = await store.partial(lease, byDigest.get(digest)!, signal);
    if (partial !== undefined) partials.set(digest, stack.use(partial));
  }
  return { trees, partials };
}

/** The lowest first, as they are unpacked. */
async function fetchAll(
  source: ImageSource,
  downloads: ReadonlyMap<Digest, Download>,
  partials: ReadonlyMap<Digest, Partial>,
  layers: readonly Descriptor[],
  { begun, progress, signal }: {
    readonly begun: Begun | undefined;
    readonly progress: (event: Progress) => void;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const waiting = [...new Map(layers.map((layer) => [layer.digest, layer])).values()]
    .flatMap((layer) => {
      const download = downloads.get(layer.digest);
      return download === undefined || !partials.has(layer.digest) ? [] : [{ layer, download }];
    });
  const one = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      signal.throwIfAborted();
      const { digest, size: total } = next.layer;
      progress({ type: "blob", digest, state: "downloading" });
      const onBytes = (done: number) => progress({ type: "bytes", digest, done, total });
      const early = begun?.digest === digest ? begun.stream : undefined;
      await next.download.run(source, { signal, begun: early, onBytes });
    }
  };
  const results = await Promise.allSettled(Array.from({ length: PARALLEL }, one));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

async function digestOfStream(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  { digest, size }: Descriptor,
): Promise<Digest> {
  const hash = new Hasher(digestAlgorithm(digest), size);
  for await (const bytes of stream) hash.update(bytes);
  return await hash.digest();
}
