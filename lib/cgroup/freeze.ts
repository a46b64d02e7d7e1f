import { readText, SyscallError, writeFile } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { pause } from "../timers.ts";
import type { CgroupLocation } from "./location.ts";

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
 * Lets a frozen container's processes go on.
 *
 * @throws {CrateError} `UNSUPPORTED` without a freezer; `FAILED` when they do not within ten seconds,
 * because a group above is frozen.
 * @throws {SyscallError} when the groups are not there.
 */
export async function thaw(location: CgroupLocation): Promise<void> {
  const freezer = freezerOf(location);
  freezer.write(false);
  if (await reached(freezer, false)) return;
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
  return shows(frozenLine(location));
}

/** How to see that a container is frozen. @throws {CrateError} `UNSUPPORTED` without a freezer. */
export function frozenLine(location: CgroupLocation): FrozenLine {
  return freezerOf(location).shown;
}

function shows({ file, line }: FrozenLine): boolean {
  return readText(file).split("\n").includes(line);
}

/** One version's way to stop a group. */
interface Freezer {
  readonly directory: string;
  write(freeze: boolean): void;
  /** What tells that all processes stand still. */
  readonly shown: FrozenLine;
}

/** A line of a file that is there while a container is frozen, wholly. */
export interface FrozenLine {
  readonly file: string;
  readonly line: string;
}

/** v1's, from `THAWED` over `FREEZING` to `FROZEN`. */
function freezerV1(directory: string): Freezer {
  const file = `${directory}/freezer.state`;
  return {
    directory,
    write: (freeze) => writeFile(file, freeze ? "FROZEN" : "THAWED"),
    shown: { file, line: "FROZEN" },
  };
}

/** v2's: asked for in one file, reported in another. */
function freezerV2(directory: string): Freezer {
  return {
    directory,
    write: (freeze) => writeFile(`${directory}/cgroup.freeze`, freeze ? "1" : "0"),
    shown: { file: `${directory}/cgroup.events`, line: "frozen 1" },
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
  for (let wait = 0; shows(freezer.shown) !== wanted; wait = Math.min(2 * wait + 1, 50)) {
    if (performance.now() > end) return false;
    // A process that forks while v1 freezes may slip through; asking again catches it.
    freezer.write(wanted);
    await pause(wait);
  }
  return true;
}
