import {
  AT_FDCWD,
  AT_REMOVEDIR,
  EACCES,
  EBUSY,
  ENOENT,
  EPERM,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { pause } from "../timers.ts";
import { killDirectories } from "./kill.ts";
import { cgroupProcesses, groupsBelow } from "./processes.ts";

/** How to remove groups. */
export interface RemoveOptions {
  /** Milliseconds until it gives up; 10,000 by default. */
  readonly deadline?: number;
}

/**
 * Removes a container's groups, and with them what is still in there: processes are killed, groups
 * below removed. A group that is not there is fine.
 *
 * Empty groups, the usual ones, are gone when the call returns, before the promise is awaited.
 *
 * @param directories a plan's or a location's.
 * @throws {CrateError} `FAILED` when a process does not die in time, with its pid; `PERMISSION`.
 *
 * @example
 * ```ts
 * import { detectLayout, locateCgroup, removeCgroup } from "./mod.ts";
 * await removeCgroup(locateCgroup(detectLayout(), "/crate/gone").directories);
 * ```
 */
export async function removeCgroup(
  directories: readonly string[],
  { deadline = 10_000 }: RemoveOptions = {},
): Promise<void> {
  let busy = directories.filter((directory) => !tryRemove(directory));
  if (busy.length === 0) return;
  const end = performance.now() + deadline;
  for (let wait = 0;; wait = Math.min(2 * wait + 1, 50)) {
    killDirectories(busy);
    busy = busy.filter((directory) => {
      // A failure below shows in the one above, which is then not empty.
      for (const group of groupsBelow(directory).reverse()) tryRemove(group);
      return !tryRemove(directory);
    });
    const [first] = busy;
    if (first === undefined) return;
    if (performance.now() > end) {
      throw new CrateError(
        "FAILED",
        `cannot remove the cgroup ${first}: its processes do not die: ` +
          (cgroupProcesses(first).join(", ") || "none of this pid namespace"),
      );
    }
    await pause(wait);
  }
}

/** False for a group that has processes or groups in it. */
function tryRemove(directory: string): boolean {
  const result = trySyscall("unlinkat", AT_FDCWD, directory, AT_REMOVEDIR);
  if (result === 0 || result === -ENOENT) return true;
  if (result === -EBUSY) return false;
  const cause = new SyscallError("rmdir", -result, directory);
  const code = result === -EACCES || result === -EPERM ? "PERMISSION" : "FAILED";
  throw new CrateError(code, `cannot remove the cgroup ${directory}: ${cause.code}`, { cause });
}
