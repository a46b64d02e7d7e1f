import {
  close,
  isMissing,
  LOCK_EX,
  LOCK_SH,
  O_APPEND,
  O_CREAT,
  O_EXCL,
  O_RDWR,
  open,
  randomHex,
  readText,
  writeAll,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Digest } from "../types.ts";
import { explainedAsync, namesIn, unlinkIfThere } from "./disk.ts";
import type { Paths } from "./layout.ts";
import { isHeld, tryFlock, underLock } from "./lock.ts";

// What a command at work needs, told to those who remove: first the digest goes into the lease, then the
// command looks whether the blob or layer is there, both under the store's lock.

/** 128 layers with their diffIDs in a dozen platforms, many times over. */
const MAX_LEASE = 16 << 20;

/** What a command at work needs; disposing of it, or dying, gives it up. */
export interface Lease extends Disposable {
  /**
   * From now on these blobs, and the layers of these diffIDs, stay where they are, and whatever of
   * them comes.
   *
   * @throws {CrateError}
   */
  hold(digests: Iterable<Digest>, signal?: AbortSignal): Promise<void>;
}

/** Begins a lease. @throws {CrateError} */
export function openLease(paths: Paths, signal?: AbortSignal): Promise<Lease> {
  return explainedAsync(paths, "note what is being worked on", async () => {
    const path = `${paths.leases}/${randomHex(8)}`;
    // Nobody can take it for a dead one's before it is locked.
    const fd = await underLock(paths, LOCK_SH, () => {
      const fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0o600);
      if (!tryFlock(fd, LOCK_EX)) throw new CrateError("FAILED", `${path} is locked by another`);
      return fd;
    }, signal);
    return lease(paths, path, fd);
  });
}

function lease(paths: Paths, path: string, fd: number): Lease {
  const lines = new Set<Digest>();
  let open = true;
  return {
    async hold(digests, signal) {
      if (!open) throw new CrateError("STATE", `the lease ${path} has ended`);
      const wanted = [...new Set(digests)].filter((digest) => !lines.has(digest));
      if (wanted.length === 0) return;
      await explainedAsync(
        paths,
        "note what is being worked on",
        () =>
          underLock(paths, LOCK_SH, () => {
            // A line that a full disk has cut must not run into the next.
            writeAll(fd, `\n${wanted.join("\n")}\n`, path);
          }, signal),
      );
      for (const digest of wanted) lines.add(digest);
    },
    [Symbol.dispose]() {
      if (!open) return;
      open = false;
      unlinkIfThere(path);
      close(fd);
    },
  };
}

/** What all commands at work need. Under the exclusive lock: those of dead ones are removed. */
export function readLeases(paths: Paths): Set<string> {
  const held = new Set<string>();
  for (const name of namesIn(paths.leases)) {
    const path = `${paths.leases}/${name}`;
    if (!isHeld(path)) {
      unlinkIfThere(path);
      continue;
    }
    try {
      for (const line of readText(path, MAX_LEASE).split("\n")) if (line !== "") held.add(line);
    } catch (error) {
      // It has ended just now; what it has put under a name is in index.json, which is read after this.
      if (!isMissing(error)) throw error;
    }
  }
  return held;
}
