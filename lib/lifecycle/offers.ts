import {
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  close,
  decodeText,
  isMissing,
  O_CLOEXEC,
  O_TMPFILE,
  O_WRONLY,
  readDirectory,
  readFile,
  STATX_BASIC_STATS,
  trySyscall,
  writeAll,
} from "../../ffi/mod.ts";

// Files with programs that the launcher walks (scripts/verbs.sh), and notes of what they may be made from.

/** The first bytes of a file that is there. @throws {SyscallError} */
export function contentOf(file: string, max: number): Uint8Array<ArrayBuffer> | undefined {
  try {
    return readFile(file, max);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether a program of this kind is there, and not an older crate's. @throws {SyscallError} */
export function isOfKind(file: string, kind: string): boolean {
  const found = contentOf(file, kind.length);
  return found !== undefined && decodeText(found) === kind;
}

/** Puts a whole file in its place, or none where another one that does the same was faster. @throws {SyscallError} */
export function put(folder: number, name: string, bytes: Uint8Array<ArrayBuffer>): void {
  const fd = trySyscall("openat", folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0o600);
  if (fd < 0) return;
  try {
    writeAll(fd, bytes);
    trySyscall("unlinkat", folder, name, 0);
    trySyscall("linkat", AT_FDCWD, `/proc/self/fd/${fd}`, folder, name, AT_SYMLINK_FOLLOW);
  } finally {
    close(fd);
  }
}

/** How long what another crate has left is kept, which may be in use beside this one: seconds. */
const KEPT = 24 * 60 * 60;

/**
 * Removes what nobody has used for long: another crate's, or also this one's.
 *
 * @param name how all such files' names begin.
 * @param own how this crate's do, when they stay.
 */
export function forgetOld(root: string, folder: number, name: string, own?: string): void {
  const before = Date.now() / 1000 - KEPT;
  for (const file of readDirectory(root)) {
    if (!file.startsWith(name) || own !== undefined && file.startsWith(own)) continue;
    if (timeOf(`${root}/${file}`) < before) trySyscall("unlinkat", folder, file, 0);
  }
}

/** `stx_mtime`, statx(2). */
const MTIME = 0x70;

/** When a file was last changed; one that is not there comes before all. */
export function timeOf(file: string): number {
  const status = new Uint8Array(256);
  if (trySyscall("statx", AT_FDCWD, file, 0, STATX_BASIC_STATS, status) < 0) return 0;
  const view = new DataView(status.buffer);
  return Number(view.getBigInt64(MTIME, true)) + view.getUint32(MTIME + 8, true) / 1e9;
}
