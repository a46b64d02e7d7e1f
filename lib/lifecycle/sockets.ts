import {
  AF_UNIX,
  close,
  EAGAIN,
  exists,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  syscall,
  trySyscall,
  withAddress,
} from "../../ffi/mod.ts";

// Sockets with a path, unix(7): a container's own, on which it waits for its start, and those on which an
// engine waits for a console.

/** Makes a socket that others can connect to. @throws {SyscallError} */
export function listenAt(path: string): number {
  const fd = syscall("socket", AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  try {
    withAddress(path, (address) => syscall("bind", fd, address, address.length));
    syscall("listen", fd, 16);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Connects to a socket of a path. @throws {SyscallError} */
export function connectTo(path: string, type: "stream" | "packets"): number {
  const kind = type === "stream" ? SOCK_STREAM : SOCK_SEQPACKET;
  const fd = syscall("socket", AF_UNIX, kind | SOCK_CLOEXEC, 0);
  try {
    withAddress(path, (address) => syscall("connect", fd, address, address.length));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Whether somebody waits on the socket of a path: the container has not been started. */
export function isAwaited(path: string): boolean {
  if (!exists(path)) return false;
  const fd = syscall("socket", AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  try {
    const result = withAddress(
      path,
      (address) => trySyscall("connect", fd, address, address.length),
    );
    // More than fit wait already.
    return result === 0 || result === -EAGAIN;
  } finally {
    close(fd);
  }
}
