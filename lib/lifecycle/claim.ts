import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  close,
  createFile,
  decodeText,
  EACCES,
  EEXIST,
  ENOENT,
  ENOTDIR,
  EPERM,
  EROFS,
  exists,
  LOCK_EX,
  LOCK_NB,
  mkdir,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  open,
  RENAME_NOREPLACE,
  STATX_BASIC_STATS,
  statx_layout,
  syscall,
  SyscallError,
  trySyscall,
  writeAll,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { pause } from "../timers.ts";
import { formatSpec } from "../spec/mod.ts";
import {
  type ContainerRecord,
  makingPath,
  type ProcessRecord,
  readState,
  removeDirectory,
  removeLeft,
  statePaths,
  VERSION,
} from "./state.ts";
import { PATIENCE } from "./time.ts";

// A container's directory and its lock. The lock (flock(2)) is on the directory itself: a holder that
// dies holds nothing.

/** A container's lock; disposing of it, or dying, lets go. */
export interface Lock extends Disposable {
  /** The directory's descriptor: it stays the container's, whatever becomes of its name. */
  readonly fd: number;
}

/** Takes a container's lock, or undefined when it is held, or when there is no such directory. */
export function tryLock(directory: string): Lock | undefined {
  let fd: number;
  try {
    fd = open(directory, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    const missing = error instanceof SyscallError &&
      (error.errno === ENOENT || error.errno === ENOTDIR);
    if (missing) return undefined;
    throw error;
  }
  if (trySyscall("flock", fd, LOCK_EX | LOCK_NB) < 0) {
    close(fd);
    return undefined;
  }
  return { fd, [Symbol.dispose]: () => close(fd) };
}

/** Takes a container's lock; undefined when there is no such directory, or when it stays held. */
export async function lockWithin(
  directory: string,
  milliseconds: number,
): Promise<Lock | undefined> {
  for (const end = performance.now() + milliseconds;;) {
    const lock = tryLock(directory);
    if (lock !== undefined || !exists(directory) || performance.now() >= end) return lock;
    await pause(5);
  }
}

/** A container's lock for what changes it. @throws {CrateError} `NOT_FOUND`; `STATE` when it stays held. */
export async function lockContainer(root: string, id: string): Promise<Lock> {
  const { directory } = statePaths(root, id);
  const lock = await lockWithin(directory, PATIENCE);
  if (lock !== undefined) return lock;
  if (!exists(directory)) {
    throw new CrateError("NOT_FOUND", `container "${id}" does not exist: crate list shows them`);
  }
  throw new CrateError("STATE", `container "${id}" is being changed by another crate right now`);
}

/**
 * Claims an id: its directory, locked, with what the container will be. The directory appears under
 * its name with the record in it, whole: nobody ever sees half of one.
 *
 * @throws {CrateError} `EXISTS` when there is a container of this id; `PERMISSION` or `FAILED` when
 *   the state directory cannot be written. Nothing is left then.
 */
export function claim(root: string, record: Omit<ContainerRecord, "version">): Lock {
  const { directory } = statePaths(root, record.id);
  const text = formatRecord({ version: VERSION, ...record });
  try {
    for (let attempt = 0;; attempt++) {
      const making = makingPath(root);
      const lock = make(making, text);
      // Somebody who clears away took it for a dead one's before it was locked.
      if (lock === undefined) continue;
      const result = trySyscall(
        "renameat2",
        AT_FDCWD,
        making,
        AT_FDCWD,
        directory,
        RENAME_NOREPLACE,
      );
      if (result === 0) return lock;
      removeDirectory(making);
      lock[Symbol.dispose]();
      if (result !== -EEXIST) throw new SyscallError("renameat2", -result, directory);
      if (attempt < 3 && clearHalfRemoved(root, record.id)) continue;
      throw inUse(root, record.id);
    }
  } catch (error) {
    throw error instanceof SyscallError ? cannotWrite(root, record.id, error) : error;
  }
}

/** The record as JSON, in which a config's 64-bit numbers stay exact. */
export function formatRecord({ spec, ...record }: ContainerRecord): string {
  return `${JSON.stringify(record).slice(0, -1)},"spec":${formatSpec(spec)}}`;
}

function make(making: string, text: string): Lock | undefined {
  mkdir(making, 0o700);
  let lock: Lock | undefined;
  try {
    lock = tryLock(making);
    if (lock !== undefined) createFile(`${making}/container.json`, text, 0o600);
    return lock;
  } catch (error) {
    lock?.[Symbol.dispose]();
    if (error instanceof SyscallError && error.errno === ENOENT) return undefined;
    removeDirectory(making);
    throw error;
  }
}

/** The refusal of a name that is not free. */
export function inUse(root: string, id: string): CrateError {
  const state = readState(root, id);
  const { directory } = statePaths(root, id);
  using lock = state === undefined ? tryLock(directory) : undefined;
  // Nobody makes or removes one there.
  if (lock !== undefined) {
    const text = `the name "${id}" is not free: ${directory} is there, and not a container's`;
    return new CrateError("EXISTS", `${text}: choose another name or another --root`);
  }
  const status = state?.status ?? "creating";
  const force = status === "stopped" ? "" : " --force";
  return new CrateError(
    "EXISTS",
    `the name "${id}" is in use by a ${status} container: ` +
      `choose another or remove it (crate delete${force} ${id})`,
  );
}

function cannotWrite(root: string, id: string, cause: SyscallError): CrateError {
  const { errno, code } = cause;
  const denied = errno === EACCES || errno === EPERM || errno === EROFS;
  return new CrateError(
    denied ? "PERMISSION" : "FAILED",
    `cannot write the state of container "${id}" in ${root}: ${code}; --root names another directory`,
    { cause },
  );
}

/**
 * A directory without a record belongs to somebody who is removing it, and may be dead.
 *
 * @returns whether it is gone.
 */
function clearHalfRemoved(root: string, id: string): boolean {
  const { directory, container } = statePaths(root, id);
  const lock = tryLock(directory);
  if (lock === undefined) return !exists(directory);
  using _ = lock;
  return !exists(container) && removeLeft(directory);
}

/** Replaces a container's record, whole. @throws {CrateError} when the state directory cannot be written. */
export function replaceRecord(lock: Lock, root: string, record: ContainerRecord): void {
  replaceIn(lock, root, record.id, "container.json", formatRecord(record));
}

/**
 * Records who runs; from now on the container is `running` while they live. One that has ended already
 * and was cleared away by its monitor is not recorded any more.
 *
 * @throws {CrateError} when the state directory cannot be written.
 */
export function recordProcess(lock: Lock, root: string, id: string, process: ProcessRecord): void {
  replaceIn(lock, root, id, "process.json", JSON.stringify(process));
}

function replaceIn(lock: Lock, root: string, id: string, name: string, text: string): void {
  try {
    // Below the descriptor: the name may be another container's by now.
    const flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    const fd = syscall("openat", lock.fd, `${name}.new`, flags, 0o600);
    try {
      writeAll(fd, text, name);
    } finally {
      close(fd);
    }
    syscall("renameat2", lock.fd, `${name}.new`, lock.fd, name, 0);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (error.errno !== ENOENT) throw cannotWrite(root, id, error);
  }
}

/**
 * Where the locked directory is now: the monitor may have renamed it to free the container's name.
 *
 * @returns undefined when it is gone.
 */
export function ownDirectory(lock: Lock): string | undefined {
  const target = new Uint8Array(4096);
  const link = `/proc/self/fd/${lock.fd}`;
  const length = syscall("readlinkat", AT_FDCWD, link, target, target.length);
  const path = decodeText(target.subarray(0, length));
  return isOwn(lock, path) ? path : undefined;
}

/** Whether the directory of this name is still the locked one. */
export function isOwn(lock: Pick<Lock, "fd">, directory: string): boolean {
  const inode = (fd: number, path: string): string | undefined => {
    const buffer = new Uint8Array(256);
    const result = trySyscall("statx", fd, path, AT_EMPTY_PATH, STATX_BASIC_STATS, buffer);
    if (result === -ENOENT) return undefined;
    if (result < 0) throw new SyscallError("statx", -result, path || directory);
    return String(statx_layout.get(buffer, "stx_ino"));
  };
  return inode(AT_FDCWD, directory) === inode(lock.fd, "");
}
