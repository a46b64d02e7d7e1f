import {
  AT_REMOVEDIR,
  close,
  EISDIR,
  ENOENT,
  EPERM,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  syscall,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";
import { bytesOf, type ByteString, byteString } from "../tar/mod.ts";

/** The names in a directory by a descriptor of it, `O_PATH` or not. @throws {SyscallError} */
export function namesIn(directory: number): ByteString[] {
  const fd = syscall("openat", directory, ".", O_DIRECTORY | O_CLOEXEC, 0);
  try {
    const names: ByteString[] = [];
    const buffer = new Uint8Array(32768);
    const view = new DataView(buffer.buffer);
    for (;;) {
      const count = syscall("getdents64", fd, buffer, buffer.length);
      if (count === 0) return names;
      // struct linux_dirent64, getdents(2): length at 16, the NUL-terminated name at 19
      for (let at = 0; at < count; at += view.getUint16(at + 16, true)) {
        const name = byteString(buffer, at + 19, buffer.indexOf(0, at + 19));
        if (name !== "." && name !== "..") names.push(name);
      }
    }
  } finally {
    close(fd);
  }
}

/** Removes what is at a name and all in it. @throws {SyscallError} */
export function removeTree(directory: number, name: ByteString): void {
  const path = bytesOf(name, 1);
  const result = trySyscall("unlinkat", directory, path, 0);
  if (result === 0 || result === -ENOENT) return;
  if (result !== -EISDIR && result !== -EPERM) throw new SyscallError("unlinkat", -result);
  const fd = syscall("openat", directory, path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  try {
    for (const inner of namesIn(fd)) removeTree(fd, inner);
  } finally {
    close(fd);
  }
  syscall("unlinkat", directory, path, AT_REMOVEDIR);
}
