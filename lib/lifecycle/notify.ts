import {
  AF_UNIX,
  AT_FDCWD,
  close,
  ENOENT,
  exists,
  mkdir,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  syscall,
  SyscallError,
  trySyscall,
  withAddress,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type { Spec } from "../spec/mod.ts";
import { type ProcessId } from "./process_id.ts";

// A service manager that starts crate may want to hear when the service is ready: NOTIFY_SOCKET. The container gets a
// socket of its own, where runc puts it, and what it says there is passed on. sd_notify(3)

/** Where it is in a container. */
const INSIDE = "/run/notify";
const SOCKET = "notify.sock";

/** In a container's directory: what is mounted there. */
export function notifyDirectory(directory: string): string {
  return `${directory}/notify`;
}

/** What a directory of that name has in it, to be removed before it. */
export function notifySocket(directory: string): string {
  return `${notifyDirectory(directory)}/${SOCKET}`;
}

/** A config with the socket that its container tells on. */
export function withNotify(spec: Spec, directory: string): Spec {
  const { mounts = [], process } = spec;
  const options = ["bind", "nosuid", "noexec", "nodev", "ro"];
  const mount = { destination: INSIDE, type: "bind", source: notifyDirectory(directory), options };
  const env = [...process?.env ?? [], `NOTIFY_SOCKET=${INSIDE}/${SOCKET}`];
  return { ...spec, mounts: [...mounts, mount], process: process && { ...process, env } };
}

/** Makes what the config's mount shows. @throws {SyscallError} */
export function makeNotifyDirectory(directory: string): void {
  if (!exists(notifyDirectory(directory))) mkdir(notifyDirectory(directory), 0o755);
  const result = trySyscall("fchmodat", AT_FDCWD, notifyDirectory(directory), 0o755);
  if (result < 0) throw new SyscallError("fchmodat", -result);
}

/** The two ends between which readiness goes: until the container is, they are held open. */
export interface ReadyEnds {
  /** The container's socket. */
  readonly from: number;
  /** A socket that is connected to the service manager's. */
  readonly to: number;
}

/**
 * Listens for a container's readiness.
 *
 * @param manager `NOTIFY_SOCKET` of crate's own environment.
 * @throws {CrateError} `INVALID` when nobody listens there; `STATE` for a container that was created without.
 */
export function listenForReady(directory: string, manager: string): ReadyEnds {
  if (!exists(notifyDirectory(directory))) {
    throw new CrateError(
      "STATE",
      "NOTIFY_SOCKET is set, and was not when the container was created: it has no socket to tell on",
    );
  }
  const to = connectToManager(manager);
  const from = syscall("socket", AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  try {
    const path = notifySocket(directory);
    const gone = trySyscall("unlinkat", AT_FDCWD, path, 0);
    if (gone < 0 && gone !== -ENOENT) throw new SyscallError("unlinkat", -gone, path);
    withAddress(path, (address) => syscall("bind", from, address, address.length));
    // Whoever the container's user is.
    syscall("fchmodat", AT_FDCWD, path, 0o777);
    return { from, to };
  } catch (error) {
    closeEnds({ from, to });
    throw error;
  }
}

/** Closes them. */
export function closeEnds({ from, to }: ReadyEnds): void {
  close(from);
  close(to);
}

function connectToManager(path: string): number {
  if (!/^[/@]./.test(path)) {
    throw new CrateError(
      "UNSUPPORTED",
      `NOTIFY_SOCKET must be an absolute path, or one that begins with "@", got "${path}"`,
    );
  }
  const fd = syscall("socket", AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  try {
    withAddress(path, (address) => syscall("connect", fd, address, address.length));
    return fd;
  } catch (cause) {
    close(fd);
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError("INVALID", `NOTIFY_SOCKET ${path}: nobody listens: ${cause.code}`, {
      cause,
    });
  }
}

/** A container that has been started and may not be ready yet. */
export interface Starting {
  readonly init: ProcessId;
  readonly ends: ReadyEnds;
}
