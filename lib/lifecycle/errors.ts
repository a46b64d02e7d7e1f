import {
  AT_FDCWD,
  close,
  EACCES,
  EINVAL,
  ENOENT,
  ENOSYS,
  ENOTDIR,
  EPERM,
  errnoName,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  readText,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { EXECUTE, MAP_IDS, MAPPED_LAYERS } from "./program/mod.ts";

/** The error for a step that failed: its label, and what a person can do where that is known. */
export function startError(label: string, errno: number): CrateError {
  const code = errnoName(errno);
  if (errno === ENOSYS) {
    const old = "this kernel is too old, crate needs Linux 5.12 or newer";
    return new CrateError("UNSUPPORTED", `${label}: ENOSYS (${old})`);
  }
  if (errno === EINVAL && label.startsWith(MAP_IDS)) {
    return new CrateError("UNSUPPORTED", `${label}: its filesystem has no id-mapped mounts`);
  }
  if (errno === EINVAL && label.startsWith(MAPPED_LAYERS)) {
    return new CrateError("UNSUPPORTED", `${label}: EINVAL (that takes Linux 5.19 or newer)`);
  }
  if (!label.startsWith(EXECUTE)) {
    const reason = reasonOf(label, errno);
    const why = reason === undefined ? code : `${reason} (${code})`;
    return new CrateError("START", `${label}: ${why}`);
  }
  const command = label.slice(EXECUTE.length);
  if (errno === ENOENT || errno === ENOTDIR) {
    // In the words that podman and docker look for, to exit as a shell would.
    const missing = command.includes("/")
      ? "no such file or directory in the container (nor, if it is a script, its interpreter)"
      : "executable file not found in $PATH of the container";
    return new CrateError("COMMAND_NOT_FOUND", `${command}: ${missing}`);
  }
  const why = errno === EACCES
    ? "permission denied: it is not an executable file"
    : `cannot be executed: ${code}`;
  return new CrateError("COMMAND_NOT_EXECUTABLE", `${command}: ${why}`);
}

/** What a person has got wrong, where the step and its error say that; undefined: nobody knows. */
function reasonOf(label: string, errno: number): string | undefined {
  const [, verb, rest] = /^(\w+) (.*)$/s.exec(label) ?? [];
  if (verb === "open" && rest!.startsWith("/") && errno === ENOTDIR) {
    return "it is a file in the container, or below one, and is to be a directory";
  }
  if (verb === "enter" && !rest!.endsWith(": it is outside of the container")) {
    if (errno === ENOENT) return "no such directory";
    if (errno === ENOTDIR) return "it is, or lies below, a file, and is to be a directory";
  }
  if (verb === "mount" && (errno === EINVAL || errno === ENOTDIR)) {
    const [, source] = /^(\/.*) on \//s.exec(rest!) ?? [];
    if (source !== undefined && isFile(source)) {
      return "the one is a file, and the other a directory of the container";
    }
  }
  if (verb === "set") return reasonOfSetting(rest!, errno);
}

function reasonOfSetting(rest: string, errno: number): string | undefined {
  const [, limit, hard] = /^RLIMIT_(\w+) to \w+:(\w+)$/.exec(rest) ?? [];
  if (limit === undefined) {
    // Kernel parameters have a dot or a slash in them, and nothing else that is set.
    if (!/^[^ ]*[./]/.test(rest)) return undefined;
    if (errno === ENOENT) return "the kernel has no such parameter of a container's";
    return errno === EINVAL ? "the kernel does not take this value" : undefined;
  }
  if (errno !== EPERM) return undefined;
  const most = limit === "NOFILE" ? fileLimit() : undefined;
  if (most !== undefined && (hard === "unlimited" || BigInt(hard!) > BigInt(most))) {
    return `the kernel lets nobody have more than ${most}, sysctl fs.nr_open`;
  }
  return "it is over crate's own hard limit, and crate lacks CAP_SYS_RESOURCE";
}

/** As far up as RLIMIT_NOFILE goes, for root, too. */
function fileLimit(): string | undefined {
  try {
    return readText("/proc/sys/fs/nr_open").trim();
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}

/** Whether something of the host is there, and is no directory. */
function isFile(path: string): boolean {
  const fd = trySyscall("openat", AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd >= 0) close(fd);
  return fd === -ENOTDIR;
}
