import {
  AT_FDCWD,
  close,
  ENODEV,
  ENOENT,
  EOPNOTSUPP,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  readDirectory,
  readText,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import type { CgroupLocation } from "./location.ts";

/**
 * The processes of a container, those in groups that it made below its own included; pids as this
 * process sees them, in no order. A group that is gone has none.
 *
 * @param group a container's groups, or one directory.
 * @throws {SyscallError}
 *
 * @example
 * ```ts
 * import { cgroupProcesses, detectLayout, locateCgroup } from "./mod.ts";
 * const pids = cgroupProcesses(locateCgroup(detectLayout(), "/crate/gone"));
 * if (pids.length !== 0) throw new Error();
 * ```
 */
export function cgroupProcesses(group: CgroupLocation | string): number[] {
  const directory = typeof group === "string" ? group : processDirectory(group);
  const pids = new Set<number>();
  for (const each of [directory, ...groupsBelow(directory)]) {
    for (const line of readProcesses(each).split("\n")) {
      // A process of a pid namespace that is not below ours reads as 0.
      const pid = Number(line);
      if (pid > 0) pids.add(pid);
    }
  }
  return [...pids];
}

/** Any hierarchy would do: a container's processes are in all. */
function processDirectory({ v1, v2, directories }: CgroupLocation): string {
  return v1.get("freezer") ?? v1.get("pids") ?? v2 ?? directories[0] ?? "";
}

function readProcesses(directory: string): string {
  try {
    return readText(`${directory}/cgroup.procs`);
  } catch (error) {
    // Gone, or going; or a v2 group of single threads, whose processes the group above lists.
    if (isErrno(error, ENOENT, ENODEV, EOPNOTSUPP)) return "";
    throw error;
  }
}

/** All groups below one, upper ones first; none when it is gone. */
export function groupsBelow(directory: string): string[] {
  let names: string[];
  try {
    names = readDirectory(directory);
  } catch (error) {
    if (isGroupGone(error)) return [];
    throw error;
  }
  const groups = names.map((name) => `${directory}/${name}`).filter(isDirectory);
  return groups.flatMap((group) => [group, ...groupsBelow(group)]);
}

function isDirectory(path: string): boolean {
  const fd = trySyscall("openat", AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

/** Whether a file of a group could not be opened, or no longer read or written, because the group is gone. */
export function isGroupGone(error: unknown): boolean {
  return isErrno(error, ENOENT, ENODEV);
}

/** Whether an error is a system call's with one of these numbers. */
export function isErrno(error: unknown, ...errnos: number[]): boolean {
  return error instanceof SyscallError && errnos.includes(error.errno);
}
