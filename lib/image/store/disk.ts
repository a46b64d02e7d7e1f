import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  close,
  EACCES,
  EDQUOT,
  EINTR,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  EPERM,
  EROFS,
  isMissing,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  open,
  ProgramBuilder,
  randomHex,
  readDirectory,
  runProgramAsync,
  STATX_BASIC_STATS,
  statx_layout,
  syscall,
  SyscallError,
  trySyscall,
  writeAll,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Paths } from "./layout.ts";

// What the store does with files: whole or not at all, and still so after the power failed.

const STATX_SIZE = 256;

/** What is at a path, links not followed. */
export interface Status {
  readonly inode: number;
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
}

/** Looks at an open file, or at a path; undefined when nothing is there. @throws {SyscallError} */
export function status(at: number | string): Status | undefined {
  const buffer = new Uint8Array(STATX_SIZE);
  const result = typeof at === "number"
    ? trySyscall("statx", at, "", AT_EMPTY_PATH, STATX_BASIC_STATS, buffer)
    : trySyscall("statx", AT_FDCWD, at, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, buffer);
  if (result === -ENOENT || result === -ENOTDIR) return undefined;
  if (result < 0) throw new SyscallError("statx", -result, `${at}`);
  return {
    inode: statx_layout.get(buffer, "stx_ino"),
    mode: statx_layout.get(buffer, "stx_mode"),
    size: statx_layout.get(buffer, "stx_size"),
  };
}

/** The names in a directory; none when it is not there. @throws {SyscallError} */
export function namesIn(directory: string): string[] {
  try {
    return readDirectory(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Renames, over what may be there. @throws {SyscallError} */
export function rename(from: string, to: string, flags = 0): void {
  const result = trySyscall("renameat2", AT_FDCWD, from, AT_FDCWD, to, flags);
  if (result < 0) throw new SyscallError("renameat2", -result, to);
}

/** Removes a file; one that is not there is fine. @throws {SyscallError} */
export function unlinkIfThere(path: string): void {
  const result = trySyscall("unlinkat", AT_FDCWD, path, 0);
  if (result < 0 && result !== -ENOENT) throw new SyscallError("unlinkat", -result, path);
}

/** Makes what was done to a directory's names last. @throws {SyscallError} */
export function syncDirectory(path: string): void {
  const fd = open(path, O_RDONLY | O_DIRECTORY);
  try {
    syscall("fsync", fd);
  } finally {
    close(fd);
  }
}

/** The same on another thread. @throws {SyscallError} */
export async function syncDirectoryLater(path: string): Promise<void> {
  const fd = open(path, O_RDONLY | O_DIRECTORY);
  try {
    await sync("fsync", fd);
  } finally {
    close(fd);
  }
}

/** fsync(2) or syncfs(2) on another thread: other streams go on meanwhile. @throws {SyscallError} */
export async function sync(call: "fsync" | "syncfs", fd: number): Promise<void> {
  const p = new ProgramBuilder();
  const result = p.variable("result", 4);
  const back = p.label("back");
  p.call(call, [fd], { result, negative: back });
  p.place(back);
  p.return();
  for (;;) {
    const got = (await runProgramAsync(p.build())).value(result);
    if (got >= 0) return;
    if (got !== -EINTR) throw new SyscallError(call, -got);
  }
}

/** A name in the folder for what is on its way. */
export function temporaryPath(paths: Paths): string {
  return `${paths.temporary}/${randomHex(8)}`;
}

/** Gives a file another content, whole; not synced. @throws {SyscallError} */
export function replaceWhole(paths: Paths, file: string, text: string): void {
  const temporary = temporaryPath(paths);
  const fd = open(temporary, O_RDWR | O_CREAT | O_EXCL, 0o600);
  try {
    writeAll(fd, text, file);
    rename(temporary, file);
  } catch (error) {
    unlinkIfThere(temporary);
    throw error;
  } finally {
    close(fd);
  }
}

/** A file that has lost its name: it is gone with its descriptor. @throws {SyscallError} */
export function temporaryFile(paths: Paths): number {
  const path = temporaryPath(paths);
  const fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600);
  unlinkIfThere(path);
  return fd;
}

/**
 * Writes a file whole under its name, replacing what is there: written elsewhere, synced, renamed, and
 * the directory synced. Under the store's lock: nobody takes the temporary file for a dead one's.
 *
 * @param lasting false, with no sync: where who reads the file takes an empty one for none, or a reboot ends it anyway.
 * @throws {SyscallError} nothing has changed then.
 */
export function writeWhole(
  paths: Paths,
  path: string,
  data: string | Uint8Array,
  lasting = true,
): void {
  const temporary = temporaryPath(paths);
  const fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o644);
  try {
    try {
      writeAll(fd, data, path);
      if (lasting) syscall("fsync", fd);
    } finally {
      close(fd);
    }
    rename(temporary, path);
  } catch (error) {
    trySyscall("unlinkat", AT_FDCWD, temporary, 0);
    throw error;
  }
  if (lasting) syncDirectory(path.slice(0, path.lastIndexOf("/")));
}

/**
 * The same of a file whose name need not last before the directory is synced some time later. Other streams go on while
 * it is on its way to the disk.
 *
 * @param others what must be there before the file has its name.
 * @throws {SyscallError} nothing has changed then.
 */
export async function writeContent(
  paths: Paths,
  path: string,
  data: string | Uint8Array,
  others?: Promise<void>,
): Promise<void> {
  const temporary = temporaryPath(paths);
  const fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o644);
  try {
    try {
      writeAll(fd, data, path);
      // The disk takes both at once; the descriptor is closed when neither is at it any more.
      const results = await Promise.allSettled([sync("fsync", fd), others]);
      for (const result of results) if (result.status === "rejected") throw result.reason;
    } finally {
      close(fd);
    }
    rename(temporary, path);
  } catch (error) {
    trySyscall("unlinkat", AT_FDCWD, temporary, 0);
    throw error;
  }
}

/** Blocks for a long index.json, and for a directory that grows by its name. */
const RESERVE = 256 << 10;

/** Sets some room aside; without any to spare it is done another time. @throws {SyscallError} */
export function makeReserve(paths: Paths): void {
  if (status(paths.reserve) !== undefined) return;
  const fd = open(paths.reserve, O_WRONLY | O_CREAT, 0o600);
  // A filesystem that cannot allocate gives no room, and takes none.
  const result = trySyscall("fallocate", fd, 0, 0, RESERVE);
  close(fd);
  if (result < 0) unlinkIfThere(paths.reserve);
}

/** Whether an error, or the one that caused it, says that the disk is full. */
export function isFull(error: unknown): boolean {
  if (error instanceof CrateError) return isFull(error.cause);
  return error instanceof SyscallError && (error.errno === ENOSPC || error.errno === EDQUOT);
}

/** An error of the kernel's as a sentence: what was being done, and what would help. */
export function explain(error: unknown, paths: Paths, what: string): unknown {
  if (!(error instanceof SyscallError)) return error;
  const { errno, code } = error;
  if (isFull(error)) {
    return new CrateError(
      "FAILED",
      `cannot ${what}: no space left in ${paths.root} (${code}); ` +
        "crate image prune frees what no image needs",
      { cause: error },
    );
  }
  const denied = errno === EACCES || errno === EPERM || errno === EROFS;
  return new CrateError(
    denied ? "PERMISSION" : "FAILED",
    `cannot ${what} in ${paths.root}: ${error.message}` +
      (denied ? "; image_root names another directory" : ""),
    { cause: error },
  );
}

/** Does it, and makes a sentence of the kernel's error. @throws {CrateError} */
export function explained<T>(paths: Paths, what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw explain(error, paths, what);
  }
}

/** The same of what takes its time. @throws {CrateError} */
export async function explainedAsync<T>(
  paths: Paths,
  what: string,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw explain(error, paths, what);
  }
}
