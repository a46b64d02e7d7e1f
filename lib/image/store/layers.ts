import {
  close,
  isMissing,
  LOCK_EX,
  LOCK_SH,
  mkdir,
  O_DIRECTORY,
  O_RDONLY,
  open,
  randomHex,
  readText,
  syscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Digest } from "../types.ts";
import {
  explained,
  explainedAsync,
  namesIn,
  rename,
  status,
  sync,
  temporaryPath,
  unlinkIfThere,
  writeWhole,
} from "./disk.ts";
import { digestOf, fileOf, type Paths } from "./layout.ts";
import type { Lease } from "./leases.ts";
import { lock, tryFlock, underLock } from "./lock.ts";
import { removeTree } from "./remove_tree.ts";

// A layer is unpacked into its tree in l/, and is there when its record is. It goes by its chainID: a layer
// that writes below a directory which it does not bring itself is unpacked by what the layers below say of
// it, so that on top of others the same diffID may be another tree, and a stranger's base must have no say
// in it. To wait until hundreds of
// megabytes have reached the disk is most of what an unpacking costs; so a record says in which boot
// it was written, and counts in that boot only, until `settle` has synced what it tells of. After a
// power failure such a layer is unpacked again from its blob, which was synced.

const MAX_RECORD = 4096;

/** An unpacked layer. */
export interface Layer {
  readonly chainId: Digest;
  /** Its tree, in overlayfs's form. */
  readonly path: string;
  /** Bytes of its uncompressed tar. */
  readonly size: number;
  /** Number of its files, directories and links. */
  readonly entries: number;
}

interface LayerRecord {
  /** The tree's name in l/. */
  readonly tree: string;
  readonly size: number;
  readonly entries: number;
  /** The boot it counts in; absent when it is on the disk. */
  readonly boot?: string;
}

/** A layer that is being unpacked. */
export interface NewLayer extends AsyncDisposable {
  readonly chainId: Digest;
  /** The directory to unpack into: empty, mode 0755. */
  readonly path: string;
  /** Its descriptor. */
  readonly fd: number;
  /** The layer is there from now on. @throws {CrateError} */
  commit(counts: { readonly size: number; readonly entries: number }): Promise<Layer>;
  /** Removes what was unpacked; after a commit it does nothing. */
  abandon(): Promise<void>;
}

let thisBoot: string | undefined;

function boot(): string {
  return thisBoot ??= readText("/proc/sys/kernel/random/boot_id", 64).trim();
}

function recordPath(paths: Paths, chainId: Digest): string {
  return `${paths.layers}/${fileOf(chainId)}`;
}

/** A layer's record, whole or not there at all. */
function readRecord(paths: Paths, chainId: Digest): LayerRecord | undefined {
  let text: string;
  try {
    text = readText(recordPath(paths, chainId), MAX_RECORD);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const { tree, size, entries, boot } = JSON.parse(text);
    if (
      /^[0-9a-f]{8,}$/.test(tree) && Number.isSafeInteger(size) && Number.isSafeInteger(entries)
    ) {
      return { tree, size, entries, ...typeof boot === "string" && { boot } };
    }
  } catch {
    // What is no record means that there is no layer: it is unpacked again.
  }
  return undefined;
}

/** An unpacked layer; undefined when it is not there. */
export function findLayer(paths: Paths, chainId: Digest): Layer | undefined {
  return explained(paths, `read layer ${chainId}`, () => {
    const record = readRecord(paths, chainId);
    if (record === undefined || (record.boot ?? boot()) !== boot()) return undefined;
    const path = `${paths.trees}/${record.tree}`;
    if (status(path) === undefined) return undefined;
    return { chainId, path, size: record.size, entries: record.entries };
  });
}

/** Every layer that has a record. */
export function listLayers(paths: Paths): Layer[] {
  return namesIn(paths.layers).flatMap((name) => {
    const chainId = digestOf(name);
    return chainId === undefined ? [] : findLayer(paths, chainId) ?? [];
  });
}

/**
 * Begins to unpack a layer, after whoever else does.
 *
 * @returns undefined when it is there, or was put there meanwhile.
 * @throws {CrateError} @throws the signal's reason
 */
export function openLayer(
  paths: Paths,
  lease: Lease,
  chainId: Digest,
  signal?: AbortSignal,
): Promise<NewLayer | undefined> {
  return explainedAsync(paths, `unpack layer ${chainId}`, async () => {
    await lease.hold([chainId], signal);
    if (findLayer(paths, chainId) !== undefined) return undefined;
    const lockPath = `${paths.locks}/${fileOf(chainId)}`;
    const held = await lock(lockPath, LOCK_EX, signal);
    const release = () => {
      unlinkIfThere(lockPath);
      held[Symbol.dispose]();
    };
    try {
      if (findLayer(paths, chainId) === undefined) {
        const tree = await underLock(paths, LOCK_SH, () => makeTree(paths), signal);
        return newLayer(paths, chainId, tree, release);
      }
    } catch (error) {
      release();
      throw error;
    }
    release();
    return undefined;
  });
}

interface Tree {
  readonly name: string;
  readonly path: string;
  readonly fd: number;
}

/** An empty tree, locked. Under the store's lock: nobody takes it for a dead one's. */
function makeTree(paths: Paths): Tree {
  const name = randomHex(5);
  const path = `${paths.trees}/${name}`;
  mkdir(path, 0o755);
  const fd = open(path, O_RDONLY | O_DIRECTORY);
  syscall("fchmod", fd, 0o755);
  if (!tryFlock(fd, LOCK_EX)) throw new CrateError("FAILED", `${path} is locked by another`);
  return { name, path, fd };
}

function newLayer(paths: Paths, chainId: Digest, tree: Tree, release: () => void): NewLayer {
  let open = true;
  const end = () => {
    open = false;
    close(tree.fd);
    release();
  };
  const abandon = (): Promise<void> => {
    if (!open) return Promise.resolve();
    return explainedAsync(paths, `remove what was unpacked of layer ${chainId}`, async () => {
      const path = temporaryPath(paths);
      // The lock goes along with the tree: nobody else removes it at the same time.
      try {
        await underLock(paths, LOCK_SH, () => rename(tree.path, path));
        removeTree(path);
      } finally {
        end();
      }
    });
  };
  return {
    chainId,
    path: tree.path,
    fd: tree.fd,
    commit({ size, entries }) {
      return explainedAsync(paths, `unpack layer ${chainId}`, async () => {
        if (!open) throw new CrateError("STATE", `layer ${chainId} is no longer being unpacked`);
        const record: LayerRecord = { tree: tree.name, size, entries, boot: boot() };
        await underLock(
          paths,
          LOCK_SH,
          () => writeWhole(paths, recordPath(paths, chainId), JSON.stringify(record), false),
        );
        end();
        return { chainId, path: tree.path, size, entries };
      });
    },
    abandon,
    [Symbol.asyncDispose]: abandon,
  };
}

/**
 * Waits until the layers of this boot have reached the disk, and says so in their records.
 *
 * @throws {CrateError}
 */
export function settleLayers(paths: Paths): Promise<void> {
  return explainedAsync(paths, "sync the layers", async () => {
    const waiting = new Map<Digest, LayerRecord>();
    for (const name of namesIn(paths.layers)) {
      const chainId = digestOf(name);
      const record = chainId && readRecord(paths, chainId);
      if (record?.boot === boot()) waiting.set(chainId!, record);
    }
    if (waiting.size === 0) return;
    const fd = open(paths.trees, O_RDONLY | O_DIRECTORY);
    try {
      await sync("syncfs", fd);
    } finally {
      close(fd);
    }
    await underLock(paths, LOCK_SH, () => {
      for (const [chainId, record] of waiting) {
        // It may be gone, or another one, by now.
        if (readRecord(paths, chainId)?.tree !== record.tree) continue;
        const { tree, size, entries } = record;
        writeWhole(paths, recordPath(paths, chainId), JSON.stringify({ tree, size, entries }));
      }
    });
  });
}

/** Under the exclusive lock: the layer is no more, its tree belongs to no record. */
export function dropLayer(paths: Paths, chainId: Digest): void {
  unlinkIfThere(recordPath(paths, chainId));
}

/** Under the exclusive lock: the names of the trees in l/ that belong to no record. */
export function treesWithoutRecord(paths: Paths): string[] {
  const trees = new Set(namesIn(paths.trees));
  for (const name of namesIn(paths.layers)) {
    const chainId = digestOf(name);
    const record = chainId && readRecord(paths, chainId);
    if (record && (record.boot ?? boot()) === boot()) trees.delete(record.tree);
  }
  return [...trees];
}
