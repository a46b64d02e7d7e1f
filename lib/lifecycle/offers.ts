import {
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  close,
  decodeText,
  isMissing,
  O_CLOEXEC,
  O_TMPFILE,
  O_WRONLY,
  readFile,
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
