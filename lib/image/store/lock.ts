import {
  close,
  EACCES,
  EAGAIN,
  isMissing,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  O_CREAT,
  O_RDWR,
  open,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";
import { pause } from "../../timers.ts";
import { status, unlinkIfThere } from "./disk.ts";
import type { Paths } from "./layout.ts";

// The locks, all flock(2): a holder that dies holds nothing, and nobody has to guess whether it lives.
//
// 1. A layer's (crate/locks/<diffID>), exclusive, while it is unpacked.
// 2. A blob's (crate/partial/<digest>, the partial file itself), exclusive, while it is fetched.
// 3. The store's (crate/lock), for moments: shared by whoever adds something that is needed (a lease's
//    line, a pin, a document, a tree, a layer's record); exclusive for whoever changes index.json or
//    removes what nobody needs. So between "I need it" and "it is there" nobody removes it, and
//    index.json has one writer.
// 4. A lease's and a pin's (the files themselves), exclusive, by their owner for as long as it is at
//    work; a tree's in l/ by the one who unpacks into it. Nobody waits for these: others only try
//    them, to see who lives.
//
// The first three are taken in this order: who unpacks a layer while its blob comes takes the layer's
// first. A command may hold several of one kind, for layers on their way at the same time; it goes on
// with each of them without waiting for the others, so the holder of a lock that is waited for always
// gets to its end. The store's lock is never held over a wait for anything but
// the disk.
//
// Who reads takes none: index.json, records and blobs appear whole under their names (rename(2)) and
// never change there. Who finds an image's blob gone reads index.json again.
//
// What a dead holder leaves: a lease or a pin that is not locked, a partial file (whose bytes the next
// one goes on with), an empty lock file, a tree without a record, a file in tmp/. The next command that
// writes removes them, under the exclusive lock, under which none of them can be new.

/** A lock that is held; disposing of it, or dying, lets go. */
export interface Held extends Disposable {
  /** The descriptor of what is locked. */
  readonly fd: number;
}

/** How long to wait before the next try, at first and at most. Milliseconds. */
const FIRST_PAUSE = 0.5;
const LONGEST_PAUSE = 40;

function held(fd: number): Held {
  let open = true;
  return {
    fd,
    [Symbol.dispose]() {
      if (open) close(fd);
      open = false;
    },
  };
}

/**
 * Locks an open descriptor if nobody else has.
 *
 * @throws {SyscallError} what else the kernel says.
 */
export function tryFlock(fd: number, kind: typeof LOCK_SH | typeof LOCK_EX): boolean {
  const result = trySyscall("flock", fd, kind | LOCK_NB);
  if (result === -EAGAIN) return false;
  if (result < 0) throw new SyscallError("flock", -result);
  return true;
}

/**
 * Locks a file, made when it is not there, if nobody else has: the file that has the name, not one that
 * somebody unlinked or renamed meanwhile.
 *
 * @returns undefined when it is held.
 * @throws {SyscallError}
 */
export function tryLock(path: string, kind: typeof LOCK_SH | typeof LOCK_EX): Held | undefined {
  for (;;) {
    const fd = open(path, O_RDWR | O_CREAT, 0o600);
    const lock = held(fd);
    let done = false;
    try {
      if (!tryFlock(fd, kind)) return undefined;
      if (status(path)?.inode === status(fd)?.inode) {
        done = true;
        return lock;
      }
    } finally {
      if (!done) lock[Symbol.dispose]();
    }
  }
}

/**
 * Whether the file's owner lives, who has locked it: tried, and let go of at once.
 *
 * @returns false as well when it is not there.
 */
export function isHeld(path: string, flags = O_RDWR): boolean {
  let fd: number;
  try {
    fd = open(path, flags);
  } catch (error) {
    if (isMissing(error)) return false;
    // What cannot be looked at is not taken for dead.
    if (error instanceof SyscallError && error.errno === EACCES) return true;
    throw error;
  }
  try {
    return !tryFlock(fd, LOCK_EX);
  } finally {
    close(fd);
  }
}

/** Removes a lock's file, or a partial one, that nobody holds. @returns whether it did */
export function removeIfFree(path: string): boolean {
  let fd: number;
  try {
    fd = open(path, O_RDWR);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  try {
    if (!tryFlock(fd, LOCK_EX) || status(path)?.inode !== status(fd)?.inode) return false;
    unlinkIfThere(path);
    return true;
  } finally {
    close(fd);
  }
}

/** Tries again, in growing pauses, until there is something. @throws the signal's reason */
export async function untilThere<T>(
  attempt: () => T | undefined,
  signal?: AbortSignal,
): Promise<T> {
  for (let milliseconds = FIRST_PAUSE;; milliseconds = Math.min(2 * milliseconds, LONGEST_PAUSE)) {
    signal?.throwIfAborted();
    const got = attempt();
    if (got !== undefined) return got;
    // Not all at the same moments.
    await pause(milliseconds * (0.5 + Math.random()), signal);
  }
}

/** Waits for a file's lock. @throws {SyscallError} @throws the signal's reason */
export function lock(
  path: string,
  kind: typeof LOCK_SH | typeof LOCK_EX,
  signal?: AbortSignal,
): Promise<Held> {
  return untilThere(() => tryLock(path, kind), signal);
}

/** Does something under the store's lock: shared to add what is needed, exclusive to change or remove. */
export async function underLock<T>(
  paths: Paths,
  kind: typeof LOCK_SH | typeof LOCK_EX,
  act: () => T | Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  using _ = await lock(paths.lock, kind, signal);
  return await act();
}
