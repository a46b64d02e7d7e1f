import {
  AT_FDCWD,
  AT_REMOVEDIR,
  EACCES,
  EEXIST,
  ENOENT,
  EPERM,
  EROFS,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { attachDeviceProgram } from "./device_attach.ts";
import { enableControllers } from "./enable.ts";
import { cloneCpuset, inheritCpuset } from "./inherit.ts";
import type { CgroupPlan } from "./plan.ts";
import { writeSettings } from "./write.ts";

/** What to do about groups that are there already. */
export interface CreateOptions {
  /** Use them as they are, the plan's limits written into them; by default they are an error. */
  readonly existing?: boolean;
}

/**
 * Makes a container's groups and writes its limits into them. A failure leaves nothing behind that
 * this call has made.
 *
 * The groups above stay when the container's are removed: they make the next container cheaper.
 *
 * @throws {CrateError} `EXISTS` for a group that is there already; `PERMISSION` without the right to
 * make or to write one; `INVALID` for a value that the kernel refuses; `UNSUPPORTED` for a limit that
 * it does not know. A refused value is named with its field and its file.
 *
 * @example
 * ```ts
 * import { createCgroup, detectLayout, planCgroup, removeCgroup } from "./mod.ts";
 * const plan = planCgroup(detectLayout(), "/crate-example-create", { pids: { limit: 100 } });
 * createCgroup(plan);
 * await removeCgroup(plan.directories);
 * ```
 */
export function createCgroup(plan: CgroupPlan, options: CreateOptions = {}): void {
  const { existing = false } = options;
  const made: string[] = [];
  try {
    for (const directory of plan.directories) make(directory, plan, existing, made);
    const cpuset = plan.v1.get("cpuset");
    if (cpuset !== undefined) inheritCpuset(cpuset, mountOf(cpuset, plan), !existing);
    if (plan.v2 !== undefined && plan.enable !== undefined) enableControllers(plan.v2, plan.enable);
    writeSettings(plan.writes);
    if (plan.v2 !== undefined && plan.deviceProgram !== undefined) {
      attachDeviceProgram(plan.v2, plan.deviceProgram);
    }
  } catch (error) {
    // Results do not matter: into a parent another container may have moved meanwhile; it stays.
    for (const directory of made.toReversed()) {
      trySyscall("unlinkat", AT_FDCWD, directory, AT_REMOVEDIR);
    }
    throw error;
  }
}

function mountOf(directory: string, { path }: CgroupPlan): string {
  return directory.slice(0, -path.length);
}

function make(directory: string, plan: CgroupPlan, existing: boolean, made: string[]): void {
  let result = mkdir(directory);
  // The parents are there but for the first container. Another container's failure may remove them
  // between our making them and the group below: hence more than one attempt.
  for (let attempt = 0; result === -ENOENT && attempt < 3; attempt++) {
    makeParents(plan, made);
    result = mkdir(directory);
  }
  if (result === 0) made.push(directory);
  else if (result !== -EEXIST) throw cannotMake(directory, -result);
  else if (!existing) {
    throw new CrateError(
      "EXISTS",
      `the cgroup ${directory} exists already: another container has it, or left it behind`,
    );
  }
}

function mkdir(directory: string): number {
  return trySyscall("mkdirat", AT_FDCWD, directory, 0o755);
}

function makeParents(plan: CgroupPlan, made: string[]): void {
  const cpuset = plan.v1.get("cpuset");
  for (const directory of plan.parents) {
    const result = mkdir(directory);
    if (result === -EEXIST) continue;
    if (result < 0) throw cannotMake(directory, -result);
    made.push(directory);
    if (cpuset?.startsWith(`${directory}/`)) {
      inheritCpuset(directory, mountOf(cpuset, plan), true);
      cloneCpuset(directory);
    }
  }
}

function cannotMake(directory: string, errno: number): CrateError {
  const cause = new SyscallError("mkdir", errno, directory);
  const sentence = `cannot make the cgroup ${directory}: ${cause.code}`;
  if (errno !== EACCES && errno !== EPERM && errno !== EROFS) {
    return new CrateError("FAILED", sentence, { cause });
  }
  return new CrateError(
    "PERMISSION",
    `${sentence}; limits need root, or a cgroup v2 that is delegated to this user ` +
      "(systemd-run --user --scope -p Delegate=yes)",
    { cause },
  );
}
