import { LOCK_EX, syscall, writeAll } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Descriptor, Digest } from "../types.ts";
import { hasBlob } from "./blobs.ts";
import { explain, explained, explainedAsync, rename, status, sync, unlinkIfThere } from "./disk.ts";
import { blobPath, fileOf, type Paths } from "./layout.ts";
import type { Lease } from "./leases.ts";
import { type Held, lock } from "./lock.ts";

const SEEK_SET = 0;
const SEEK_END = 2;
const CHUNK = 1 << 20;

/**
 * A blob on its way into the store: its file is locked, and keeps its bytes for the next one when this
 * one does not get to the end, by whatever cause.
 */
export interface Partial extends Disposable {
  readonly descriptor: Descriptor;
  /** False after a commit or a release. */
  readonly isOpen: boolean;
  /** Open for reading and writing; its offset is at the end. */
  readonly fd: number;
  /** Bytes that are there. */
  readonly have: number;
  /** Adds bytes at the end. @throws {CrateError} more than the descriptor says; no space left */
  append(bytes: Uint8Array): void;
  /** The bytes that are there, in pieces; afterwards the offset is at the end again. */
  read(): Generator<Uint8Array<ArrayBuffer>>;
  /** Forgets the bytes that are there: they were not the blob's. */
  restart(): void;
  /** Waits until all that is there has reached the disk; it is read meanwhile. @throws {CrateError} */
  flush(): Promise<void>;
  /**
   * Puts the blob, which is on the disk then, under its name; this lasts when an image that needs it is listed.
   *
   * @param digest what the digest of all the bytes was found to be.
   * @throws {CrateError} `INVALID` when it, or the size, is not the descriptor's: what is there is forgotten.
   */
  commit(digest: Digest): Promise<void>;
  /** Lets go; without a commit the bytes wait for the next one. */
  release(): void;
}

/**
 * Opens a blob for writing, after whoever else does.
 *
 * @returns undefined when the blob is there, or was put there meanwhile.
 * @throws {CrateError} @throws the signal's reason
 */
export function openPartial(
  paths: Paths,
  lease: Lease,
  descriptor: Descriptor,
  signal?: AbortSignal,
): Promise<Partial | undefined> {
  return explainedAsync(paths, `write blob ${descriptor.digest}`, async () => {
    await lease.hold([descriptor.digest], signal);
    if (hasBlob(paths, descriptor)) return undefined;
    const path = `${paths.partial}/${fileOf(descriptor.digest)}`;
    const held = await lock(path, LOCK_EX, signal);
    try {
      if (!hasBlob(paths, descriptor)) return partial(paths, descriptor, path, held);
      unlinkIfThere(path);
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
    held[Symbol.dispose]();
    return undefined;
  });
}

function partial(paths: Paths, descriptor: Descriptor, path: string, held: Held): Partial {
  const { digest, size } = descriptor;
  const { fd } = held;
  let have = status(fd)!.size;
  const what = `write blob ${digest}`;
  let flushed = false;
  const restart = () =>
    explained(paths, what, () => {
      syscall("ftruncate", fd, 0);
      syscall("lseek", fd, 0, SEEK_SET);
      have = 0;
      flushed = false;
    });
  if (have > size) restart();
  syscall("lseek", fd, 0, SEEK_END);
  let isOpen = true;
  const release = () => {
    if (isOpen) held[Symbol.dispose]();
    isOpen = false;
  };
  const refuse = (sentence: string): never => {
    restart();
    throw new CrateError("INVALID", sentence);
  };
  return {
    descriptor,
    get isOpen() {
      return isOpen;
    },
    fd,
    get have() {
      // Somebody may have written to the descriptor itself.
      return have = status(fd)!.size;
    },
    append(bytes) {
      if (have + bytes.length > size) {
        refuse(`blob ${digest} is longer than the ${size} bytes its descriptor says`);
      }
      flushed = false;
      try {
        writeAll(fd, bytes, path);
        have += bytes.length;
      } catch (error) {
        have = status(fd)!.size;
        throw explain(error, paths, what);
      }
    },
    *read() {
      syscall("lseek", fd, 0, SEEK_SET);
      const chunk = new Uint8Array(CHUNK);
      for (;;) {
        const count = syscall("read", fd, chunk, chunk.length);
        if (count === 0) return;
        yield chunk.slice(0, count);
      }
    },
    restart,
    async flush() {
      await explainedAsync(paths, what, () => sync("fsync", fd));
      flushed = true;
    },
    async commit(found) {
      const length = status(fd)!.size;
      if (length !== size) {
        refuse(`blob ${digest} has ${length} bytes, its descriptor says ${size}`);
      }
      if (found !== digest) refuse(`blob ${digest} has the content of ${found}`);
      await explainedAsync(paths, what, async () => {
        syscall("fchmod", fd, 0o644);
        if (!flushed) await sync("fsync", fd);
        rename(path, blobPath(paths, digest));
      });
      release();
    },
    release,
    [Symbol.dispose]: release,
  };
}
