import {
  AT_FDCWD,
  AT_REMOVEDIR,
  close,
  decodeText,
  EACCES,
  EISDIR,
  ENOENT,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  randomHex,
  syscall,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";

// Removes what a stranger has filled: however deep, whatever the names' bytes, links never followed.
// There is no recursion and no path: a directory in a directory is renamed up to the top, where its
// turn comes, so two descriptors do for any depth.

const SEEK_SET = 0;
/** struct linux_dirent64, getdents(2) */
const RECORD_LENGTH = 16;
const TYPE = 18;
const NAME = 19;
const DT_DIR = 4;

const OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

interface Entry {
  /** With its NUL; any bytes. */
  readonly name: Uint8Array<ArrayBuffer>;
  readonly type: number;
}

/**
 * Removes a directory with all that is in it, or a file; nothing there is fine. Nobody else may be at
 * work in it.
 *
 * @param until when to stop, by `performance.now()`; what is left is as good to remove another time.
 * @throws {SyscallError} what could be removed is gone then.
 *
 * @example
 * ```ts
 * import { mkdirAll, exists } from "../../../ffi/mod.ts";
 * import { removeTree } from "./remove_tree.ts";
 * const top = Deno.makeTempDirSync();
 * mkdirAll(`${top}/a/b/c`);
 * removeTree(top);
 * if (exists(top)) throw new Error();
 * ```
 *
 * @see unlinkat(2), renameat2(2)
 */
export function removeTree(path: string, until = Infinity): void {
  const result = trySyscall("unlinkat", AT_FDCWD, path, 0);
  if (result === 0 || result === -ENOENT) return;
  if (result !== -EISDIR) throw new SyscallError("unlinkat", -result, path);
  const top = openDirectory(AT_FDCWD, path);
  try {
    syscall("fchmod", top, 0o700);
    const isDone = eachEntry(top, until, ({ name, type }) => {
      if (type !== DT_DIR && unlinked(top, name)) return;
      const directory = openDirectory(top, name);
      try {
        if (!empty(directory, top, until)) return;
      } finally {
        close(directory);
      }
      check("unlinkat", trySyscall("unlinkat", top, name, AT_REMOVEDIR), name);
    });
    if (!isDone) return;
  } finally {
    close(top);
  }
  syscall("unlinkat", AT_FDCWD, path, AT_REMOVEDIR);
}

/** Removes a directory's files, and moves its directories up. @returns whether it is empty. */
function empty(directory: number, top: number, until: number): boolean {
  syscall("fchmod", directory, 0o700);
  return eachEntry(directory, until, ({ name, type }) => {
    if (type !== DT_DIR && unlinked(directory, name)) return;
    // So long that no hostile name is the same.
    const up = randomHex(16);
    let result = trySyscall("renameat2", directory, name, top, up, 0);
    if (result === -EACCES) {
      // A directory that moves must be writable itself: its `..` changes.
      makeAccessible(directory, name);
      result = trySyscall("renameat2", directory, name, top, up, 0);
    }
    check("renameat2", result, name);
  });
}

/** @returns false for a directory. */
function unlinked(directory: number, name: Uint8Array<ArrayBuffer>): boolean {
  const result = trySyscall("unlinkat", directory, name, 0);
  if (result === -EISDIR) return false;
  check("unlinkat", result, name);
  return true;
}

function check(call: string, result: number, name: Uint8Array<ArrayBuffer>): void {
  if (result < 0 && result !== -ENOENT) throw new SyscallError(call, -result, textOf(name));
}

function textOf(name: Uint8Array<ArrayBuffer>): string {
  return decodeText(name.subarray(0, -1));
}

function openDirectory(at: number, name: string | Uint8Array<ArrayBuffer>): number {
  let result = trySyscall("openat", at, name, OPEN_DIRECTORY, 0);
  if (result === -EACCES) {
    makeAccessible(at, name);
    result = trySyscall("openat", at, name, OPEN_DIRECTORY, 0);
  }
  if (result >= 0) return result;
  throw new SyscallError("openat", -result, typeof name === "string" ? name : textOf(name));
}

/** Gives its owner all rights to a directory that may not even be opened for reading. */
function makeAccessible(at: number, name: string | Uint8Array<ArrayBuffer>): void {
  const fd = trySyscall("openat", at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd < 0) return;
  // fchmod(2) does not take such a descriptor; its link in proc leads to the very file.
  trySyscall("fchmodat", AT_FDCWD, `/proc/self/fd/${fd}`, 0o700);
  close(fd);
}

/** Does it with every entry, and again from the start until none is left. @returns whether none is. */
function eachEntry(fd: number, until: number, act: (entry: Entry) => void): boolean {
  const buffer = new Uint8Array(32768);
  const view = new DataView(buffer.buffer);
  let seen = false;
  for (;;) {
    const count = syscall("getdents64", fd, buffer, buffer.length);
    if (count === 0) {
      if (!seen) return true;
      seen = false;
      syscall("lseek", fd, 0, SEEK_SET);
    }
    for (let at = 0; at < count; at += view.getUint16(at + RECORD_LENGTH, true)) {
      const end = buffer.indexOf(0, at + NAME);
      const length = end - at - NAME;
      if (
        buffer[at + NAME] === 0x2e && (length === 1 || length === 2 && buffer[end - 1] === 0x2e)
      ) {
        continue;
      }
      seen = true;
      if (performance.now() > until) return false;
      act({ name: buffer.slice(at + NAME, end + 1), type: buffer[at + TYPE]! });
    }
  }
}
