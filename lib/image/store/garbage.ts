import {
  AT_FDCWD,
  close,
  EACCES,
  LOCK_EX,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  open,
  S_IFDIR,
  S_IFMT,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { chainIds } from "../documents/mod.ts";
import { isDigest } from "../names/mod.ts";
import type { Descriptor, Digest } from "../types.ts";
import { MAX_DOCUMENT, readDocument } from "./blobs.ts";
import {
  explainedAsync,
  isFull,
  makeReserve,
  namesIn,
  rename,
  status,
  temporaryPath,
  unlinkIfThere,
} from "./disk.ts";
import { type Entry, readIndex } from "./index.ts";
import { deadContainers } from "./containers.ts";
import { blobPath, digestOf, type Paths } from "./layout.ts";
import { dropLayer, findLayer, treesWithoutRecord } from "./layers.ts";
import { readLeases } from "./leases.ts";
import { removeIfFree, tryFlock, tryLock, underLock } from "./lock.ts";
import { clearPins, readPins } from "./pins.ts";
import { removeTree } from "./remove_tree.ts";

// What no image, no pin and no command at work needs is removed. What to remove is decided, and taken
// from its name, under the exclusive lock; trees are then removed without it.

/** What was removed. */
export interface Collected {
  /** Blobs: documents, and layers as they came. */
  readonly blobs: readonly Digest[];
  /** Unpacked layers, by diffID. */
  readonly layers: readonly Digest[];
  /** Bytes freed. */
  readonly freed: number;
}

/** A tree that is taken from its name and waits for its removal, its lock held. */
export interface Doomed {
  readonly path: string;
  readonly fd: number;
}

/**
 * The digests that an image is made of, as far as its documents are there: documents, blobs, diffIDs.
 * Told by their fields and not by their types, so that nothing of what others have put there is missed.
 */
export function digestsOf(paths: Paths, { descriptor }: Entry): Set<Digest> {
  const found = new Set<Digest>();
  const documents: Described[] = [descriptor];
  for (let next = documents.pop(); next !== undefined; next = documents.pop()) {
    if (found.has(next.digest)) continue;
    found.add(next.digest);
    const { manifests, config, layers, blobs } = readFields(paths, next);
    for (const { digest } of [...described(layers), ...described(blobs)]) found.add(digest);
    documents.push(...described(manifests));
    for (const configuration of described([config])) {
      found.add(configuration.digest);
      const { rootfs } = readFields(paths, configuration);
      const { diff_ids } = fieldsOf(rootfs);
      if (Array.isArray(diff_ids)) {
        chainIds(diff_ids.filter(isDigest)).forEach((id) => found.add(id));
      }
    }
  }
  return found;
}

type Described = Pick<Descriptor, "digest" | "size">;

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function described(list: unknown): Described[] {
  if (!Array.isArray(list)) return [];
  return list.filter((item) => isDigest(fieldsOf(item).digest));
}

/** A document's fields; none when it is not there, is damaged, or is none. */
function readFields(paths: Paths, { digest, size }: Described): Record<string, unknown> {
  if (!Number.isSafeInteger(size) || size > MAX_DOCUMENT) return {};
  try {
    const bytes = readDocument(paths, { mediaType: "", digest, size });
    return fieldsOf(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    if (error instanceof CrateError || error instanceof SyntaxError) return {};
    // That it cannot be read now does not make it garbage.
    throw error;
  }
}

/** What stays. Leases first: what one has given up by now is in index.json or in a pin. */
function needed(paths: Paths): ReadonlySet<string> {
  const digests = readLeases(paths);
  clearPins(paths);
  for (const pin of readPins(paths)) for (const digest of pin.digests) digests.add(digest);
  for (const entry of readIndex(paths)) {
    for (const digest of digestsOf(paths, entry)) digests.add(digest);
  }
  return digests;
}

/** Takes a tree from its name, unless somebody is at work in it. Under the exclusive lock. */
export function doom(paths: Paths, path: string): Doomed | undefined {
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  let fd: number;
  try {
    fd = open(path, flags);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (error.errno !== EACCES) return undefined;
    // A layer may have any mode. The store's own names are no links.
    trySyscall("fchmodat", AT_FDCWD, path, 0o700);
    fd = open(path, flags);
  }
  if (!tryFlock(fd, LOCK_EX)) {
    close(fd);
    return undefined;
  }
  const target = temporaryPath(paths);
  try {
    rename(path, target);
  } catch (error) {
    close(fd);
    throw error;
  }
  return { path: target, fd };
}

/** What dead commands have left: under the exclusive lock, under which nothing of it can be new. */
function takeDead(paths: Paths): Doomed[] {
  readLeases(paths);
  for (const name of namesIn(paths.locks)) removeIfFree(`${paths.locks}/${name}`);
  for (const name of namesIn(paths.partial)) {
    const digest = digestOf(name);
    // What is a blob by now needs no partial one.
    if (digest === undefined || status(blobPath(paths, digest)) !== undefined) {
      removeIfFree(`${paths.partial}/${name}`);
    }
  }
  const doomed: Doomed[] = [];
  const push = (tree: Doomed | undefined) => tree && doomed.push(tree);
  for (const name of namesIn(paths.temporary)) {
    const path = `${paths.temporary}/${name}`;
    const mode = status(path)?.mode ?? 0;
    if ((mode & S_IFMT) === S_IFDIR) push(doom(paths, path));
    else unlinkIfThere(path);
  }
  for (const tree of treesWithoutRecord(paths)) {
    push(doom(paths, `${paths.trees}/${tree}`));
  }
  const dead = deadContainers(paths);
  for (const path of dead) push(doom(paths, path));
  // What they needed of the store they need no more.
  if (dead.length > 0) clearPins(paths);
  return doomed;
}

/** Removes the trees, and tells of the first that cannot be: it stays for the next time. */
export function finish(doomed: readonly Doomed[], until = Infinity): void {
  let failed: unknown;
  for (const { path, fd } of doomed) {
    try {
      removeTree(path, until);
    } catch (error) {
      failed ??= error;
    }
    close(fd);
  }
  if (failed !== undefined) throw failed;
}

/**
 * Removes what dead commands have left, unless somebody is changing the store just now.
 *
 * @param patience how long to remove trees: milliseconds. What is left then is for the next command.
 * @throws {CrateError}
 */
export function clearDead(paths: Paths, patience = Infinity): Promise<void> {
  return explainedAsync(paths, "remove what was left unfinished", () => {
    const left = [paths.leases, paths.locks, paths.temporary].some((at) => namesIn(at).length > 0);
    // Who died between a layer's record and its tree had neither.
    const isClean = !left && namesIn(paths.trees).length === namesIn(paths.layers).length &&
      deadContainers(paths).length === 0;
    if (isClean) return Promise.resolve();
    using held = tryLock(paths.lock, LOCK_EX);
    const doomed = held === undefined ? [] : takeDead(paths);
    held?.[Symbol.dispose]();
    finish(doomed, performance.now() + patience);
    return Promise.resolve();
  });
}

/**
 * Changes index.json in a moment in which nobody else does, then removes what nothing needs any more.
 *
 * @param change what to do to index.json.
 * @param options.partials whether blobs that came in part go too, unless somebody is fetching them.
 * @throws {CrateError}
 */
export function collect(
  paths: Paths,
  change: () => void = () => {},
  options: { readonly partials?: boolean } = {},
): Promise<Collected> {
  return explainedAsync(paths, "remove what no image needs", async () => {
    const { doomed, collected } = await underLock(paths, LOCK_EX, () => {
      withReserve(paths, change);
      const collected = sweep(paths, options.partials ?? false);
      return { collected, doomed: takeDead(paths) };
    });
    finish(doomed);
    makeReserve(paths);
    return collected;
  });
}

/**
 * Removing an image takes room for the new index.json. Where there is none, the reserve gives it.
 */
function withReserve(paths: Paths, change: () => void): void {
  try {
    change();
  } catch (error) {
    if (!isFull(error) || status(paths.reserve) === undefined) throw error;
    unlinkIfThere(paths.reserve);
    change();
  }
}

function sweep(paths: Paths, partials: boolean): Collected {
  const stays = needed(paths);
  const layers: Digest[] = [];
  const blobs: Digest[] = [];
  let freed = 0;
  for (const name of namesIn(paths.layers)) {
    const chainId = digestOf(name);
    if (chainId === undefined || stays.has(chainId)) continue;
    freed += findLayer(paths, chainId)?.size ?? 0;
    dropLayer(paths, chainId);
    layers.push(chainId);
  }
  for (const algorithm of namesIn(paths.blobs)) {
    for (const hex of namesIn(`${paths.blobs}/${algorithm}`)) {
      const digest = `${algorithm}:${hex}`;
      if (!isDigest(digest) || stays.has(digest)) continue;
      const path = blobPath(paths, digest);
      freed += status(path)?.size ?? 0;
      unlinkIfThere(path);
      blobs.push(digest);
    }
  }
  for (const name of partials ? namesIn(paths.partial) : []) {
    const path = `${paths.partial}/${name}`;
    const size = status(path)?.size ?? 0;
    if (removeIfFree(path)) freed += size;
  }
  return { blobs, layers, freed };
}
