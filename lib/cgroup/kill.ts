import { SIGKILL, trySyscall, writeFile } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type { CgroupLocation } from "./location.ts";
import { cgroupProcesses, isGroupGone } from "./processes.ts";

/**
 * Sends a signal to every process of a container.
 *
 * SIGKILL reaches all of them at once, whatever they do: by `cgroup.kill` in v2, with the group frozen
 * meanwhile in v1. Another signal reaches those that are there when it is sent.
 *
 * @param signal its number, signal(7).
 * @throws {CrateError} `FAILED` when this process is in the group itself.
 * @throws {SyscallError}
 *
 * @example
 * ```ts
 * import { detectLayout, killAll, locateCgroup } from "./mod.ts";
 * killAll(locateCgroup(detectLayout(), "/crate/gone"), 15);
 * ```
 */
export function killAll(location: CgroupLocation, signal: number): void {
  if (signal === SIGKILL) killDirectories(location.directories);
  else signalProcesses(cgroupProcesses(location), signal, location.path);
}

/** SIGKILL for all that is in any of these groups or below them. */
export function killDirectories(directories: readonly string[]): void {
  // Before anything is frozen: nobody would be left to thaw it.
  for (const directory of directories) refuseOwn(cgroupProcesses(directory), directory);
  const freeze = (state: "FROZEN" | "THAWED") => {
    // v1's; only the freezer hierarchy has the file. Not waited for.
    for (const directory of directories) tryWrite(`${directory}/freezer.state`, state);
  };
  freeze("FROZEN");
  try {
    for (const directory of directories) killDirectory(directory);
  } finally {
    // A process that v1 has frozen dies when it goes on.
    freeze("THAWED");
  }
}

function killDirectory(directory: string): void {
  const killed = new Set<number>();
  // What has its signal forks no more, and what v1 freezes soon does not either: so the new ones of a
  // round become fewer.
  for (let round = 0; round < 100; round++) {
    const pids = cgroupProcesses(directory).filter((pid) => !killed.has(pid));
    if (pids.length === 0) return;
    // v2's, since Linux 5.14, for which one write is enough.
    if (tryWrite(`${directory}/cgroup.kill`, "1")) return;
    signalProcesses(pids, SIGKILL, directory);
    for (const pid of pids) killed.add(pid);
  }
}

/** False when there is no such file: none in this version, or the group is gone. */
function tryWrite(file: string, value: string): boolean {
  try {
    writeFile(file, value);
    return true;
  } catch (error) {
    if (isGroupGone(error)) return false;
    throw error;
  }
}

function signalProcesses(pids: readonly number[], signal: number, group: string): void {
  refuseOwn(pids, group);
  // One that is gone meanwhile is as good as signalled.
  for (const pid of pids) trySyscall("kill", pid, signal);
}

function refuseOwn(pids: readonly number[], group: string): void {
  if (pids.includes(Deno.pid)) {
    throw new CrateError("FAILED", `the cgroup ${group} holds crate itself, and is not killed`);
  }
}
