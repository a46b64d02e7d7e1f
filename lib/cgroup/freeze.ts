import { readText, SyscallError, writeFile } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { pause } from "../timers.ts";
import type { CgroupLocation } from "./location.ts";
import { isGroupGone } from "./processes.ts";

/** How long the kernel may take to stop every process, in milliseconds. */
const DEADLINE = 10_000;

/**
 * Stops every process of a container where it is, and returns when all stand still.
 *
 * @throws {CrateError} `UNSUPPORTED` without a freezer; `FAILED` when a process does not stop within
 * ten seconds (one that waits for a disk or a debugger): then all run again.
 * @throws {SyscallError} when the groups are not there.
 *
 * @example
 * ```ts
 * import { createCgroup, detectLayout, freeze, planCgroup, removeCgroup, thaw } from "./mod.ts";
 * const plan = planCgroup(detectLayout(), "/crate-example-freeze", {});
 * createCgroup(plan);
 * await freeze(plan);
 * await thaw(plan);
 * await removeCgroup(plan.directories);
 * ```
 */
export async function freeze(location: CgroupLocation): Promise<void> {
  const freezer = freezerOf(location);
  freezer.write(true);
  if (await reached(freezer, true)) return;
  freezer.write(false);
  throw new CrateError(
    "FAILED",
    `the processes of the cgroup ${freezer.directory} did not stop within ${DEADLINE / 1000} s`,
  );
}

/**
 * Lets a frozen container's processes go on; groups that are gone have none that would.
 *
 * @throws {CrateError} `UNSUPPORTED` without a freezer; `FAILED` when they do not within ten seconds,
 * because a group above is frozen.
 */
export async function thaw(location: CgroupLocation): Promise<void> {
  const freezer = freezerOf(location);
  try {
    freezer.write(false);
    if (await reached(freezer, false)) return;
  } catch (error) {
    if (isGroupGone(error)) return;
    throw error;
  }
  throw new CrateError(
    "FAILED",
    `the processes of the cgroup ${freezer.directory} did not go on: is a group above frozen?`,
  );
}

/** The same without a wait, for who has told its processes to end; groups that are gone are fine. */
export function release(location: CgroupLocation): void {
  try {
    freezerOf(location).write(false);
  } catch (error) {
    if (!(error instanceof SyscallError || error instanceof CrateError)) throw error;
  }
}

/** Whether a container is frozen, wholly. @throws as {@linkcode thaw}. */
export function isFrozen(location: CgroupLocation): boolean {
  return isShown(freezerFiles(location));
}

/** The files of a container's freezer. @throws {CrateError} `UNSUPPORTED` without one. */
export function freezerFiles(location: CgroupLocation): FreezerFiles {
  return freezerOf(location).files;
}

function isShown({ frozen: { file, line } }: FreezerFiles): boolean {
  return readText(file).split("\n").includes(line);
}

/** One version's way to stop a group. */
interface Freezer {
  readonly directory: string;
  write(freeze: boolean): void;
  readonly files: FreezerFiles;
}

/** How a container's freezer is spoken to. */
export interface FreezerFiles {
  /** A line of a file that is there while all processes stand still. */
  readonly frozen: { readonly file: string; readonly line: string };
  /** What written into which file lets them go on. */
  readonly thaw: { readonly file: string; readonly text: string };
}

/** v1's, from `THAWED` over `FREEZING` to `FROZEN`. */
function freezerV1(directory: string): Freezer {
  const file = `${directory}/freezer.state`;
  return {
    directory,
    write: (freeze) => writeFile(file, freeze ? "FROZEN" : "THAWED"),
    files: { frozen: { file, line: "FROZEN" }, thaw: { file, text: "THAWED" } },
  };
}

/** v2's: asked for in one file, reported in another. */
function freezerV2(directory: string): Freezer {
  const file = `${directory}/cgroup.freeze`;
  return {
    directory,
    write: (freeze) => writeFile(file, freeze ? "1" : "0"),
    files: {
      frozen: { file: `${directory}/cgroup.events`, line: "frozen 1" },
      thaw: { file, text: "0" },
    },
  };
}

function freezerOf({ v1, v2, path }: CgroupLocation): Freezer {
  const directory = v1.get("freezer");
  if (directory !== undefined) return freezerV1(directory);
  if (v2 !== undefined) return freezerV2(v2);
  throw new CrateError(
    "UNSUPPORTED",
    `cannot pause ${path}: this host has neither the freezer of cgroup v1 nor cgroup v2`,
  );
}

async function reached(freezer: Freezer, wanted: boolean): Promise<boolean> {
  const end = performance.now() + DEADLINE;
  for (let wait = 0; isShown(freezer.files) !== wanted; wait = Math.min(2 * wait + 1, 50)) {
    if (performance.now() > end) return false;
    // A process that forks while v1 freezes may slip through; asking again catches it.
    freezer.write(wanted);
    await pause(wait);
  }
  return true;
}
