import {
  AT_FDCWD,
  AT_REMOVEDIR,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
} from "./constants.ts";
import { EINTR, ENOENT, SyscallError } from "./errno.ts";
import { syscall, trySyscall } from "./libc.ts";
import { decodeText, encodeText } from "./text.ts";

// The few things crate does with files, each in as few system calls as it takes.

const SMALL_CHUNK = 1 << 13;
const CHUNK = 1 << 19;

/** Opens a file, close-on-exec. @throws {SyscallError} */
export function open(path: string, flags: number, mode = 0): number {
  return syscall("openat", AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

/** Closes a descriptor. @throws {SyscallError} `EBADF` for one that is not open. */
export function close(fd: number): void {
  const result = trySyscall("close", fd);
  // On Linux the descriptor is gone even after EINTR, close(2).
  if (result < 0 && result !== -EINTR) throw new SyscallError("close", -result);
}

/** Makes a directory. @throws {SyscallError} */
export function mkdir(path: string, mode = 0o755): void {
  syscall("mkdirat", AT_FDCWD, path, mode);
}

/** Makes a directory and those above it; one that is there is fine. @throws {SyscallError} */
export function mkdirAll(path: string, mode = 0o755): void {
  let result = trySyscall("mkdirat", AT_FDCWD, path, mode);
  const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
  if (result === -ENOENT && parent !== "") {
    mkdirAll(parent, mode);
    // Some filesystems, proc(5), say so of a parent that is there.
    result = trySyscall("mkdirat", AT_FDCWD, path, mode);
  }
  if (result < 0 && !exists(path)) throw new SyscallError("mkdirat", -result, path);
}

/** Removes an empty directory. @throws {SyscallError} */
export function rmdir(path: string): void {
  syscall("unlinkat", AT_FDCWD, path, AT_REMOVEDIR);
}

/** Removes a file. @throws {SyscallError} */
export function unlink(path: string): void {
  syscall("unlinkat", AT_FDCWD, path, 0);
}

/** Whether there is something at a path, links followed. */
export function exists(path: string): boolean {
  return trySyscall("faccessat", AT_FDCWD, path, 0) === 0;
}

/** Reads from a descriptor to its end, or up to `max` bytes. @throws {SyscallError} */
export function readAll(fd: number, max = 64 << 20, path?: string): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let total = 0;
  let size = SMALL_CHUNK;
  while (total < max) {
    const chunk = new Uint8Array(Math.min(size, max - total));
    const count = trySyscall("read", fd, chunk, chunk.length);
    if (count === -EINTR) continue;
    if (count < 0) throw new SyscallError("read", -count, path);
    if (count === 0) break;
    parts.push(chunk.subarray(0, count));
    total += count;
    size = count === chunk.length ? Math.min(size * 8, CHUNK) : SMALL_CHUNK;
  }
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The first `max` bytes of a file. @throws {SyscallError} */
export function readFile(path: string, max?: number): Uint8Array<ArrayBuffer> {
  const fd = open(path, O_RDONLY);
  try {
    return readAll(fd, max, path);
  } finally {
    close(fd);
  }
}

/** The first `max` bytes of a file, as UTF-8. @throws {SyscallError} */
export function readText(path: string, max?: number): string {
  return decodeText(readFile(path, max));
}

/** Writes all bytes to a descriptor. @throws {SyscallError} */
export function writeAll(fd: number, data: string | Uint8Array, path?: string): void {
  const bytes = typeof data === "string" ? encodeText(data) : data;
  let at = 0;
  while (at < bytes.length) {
    const part = bytes.subarray(at, at + CHUNK);
    const count = trySyscall("write", fd, part, part.length);
    if (count === -EINTR) continue;
    if (count < 0) throw new SyscallError("write", -count, path);
    at += count;
  }
}

/** Writes to a file that is there, in one call, as cgroup and proc files want. @throws {SyscallError} */
export function writeFile(path: string, data: string | Uint8Array): void {
  const fd = open(path, O_WRONLY);
  try {
    const bytes = typeof data === "string" ? encodeText(data) : data;
    const count = trySyscall("write", fd, bytes, bytes.length);
    if (count < 0) throw new SyscallError("write", -count, path);
  } finally {
    close(fd);
  }
}

/**
 * Replaces a file as a whole: another process sees the old content or the new, whatever happens in
 * between. Two writers of one path must hold a lock. No fsync: meant for state that a reboot ends.
 *
 * @throws {SyscallError}
 */
export function replaceFile(path: string, data: string | Uint8Array, mode = 0o644): void {
  const temporary = `${path}.new`;
  const fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
  try {
    writeAll(fd, data, temporary);
  } finally {
    close(fd);
  }
  syscall("renameat2", AT_FDCWD, temporary, AT_FDCWD, path, 0);
}

/** Makes a file that must not be there yet. @throws {SyscallError} `EEXIST` */
export function createFile(path: string, data: string | Uint8Array, mode = 0o644): void {
  const fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
  try {
    writeAll(fd, data, path);
  } finally {
    close(fd);
  }
}

/** The names in a directory, without `.` and `..`, in the kernel's order. @throws {SyscallError} */
export function readDirectory(path: string): string[] {
  const fd = open(path, O_RDONLY | O_DIRECTORY);
  try {
    const names: string[] = [];
    const buffer = new Uint8Array(32768);
    const view = new DataView(buffer.buffer);
    for (;;) {
      const count = syscall("getdents64", fd, buffer, buffer.length);
      if (count === 0) return names;
      // struct linux_dirent64, getdents(2): length at 16, the NUL-terminated name at 19
      for (let at = 0; at < count; at += view.getUint16(at + 16, true)) {
        const name = decodeText(buffer.subarray(at + 19, buffer.indexOf(0, at + 19)));
        if (name !== "." && name !== "..") names.push(name);
      }
    }
  } finally {
    close(fd);
  }
}
