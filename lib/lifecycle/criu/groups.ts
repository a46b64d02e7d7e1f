import {
  type CgroupPlan,
  cgroupProcesses,
  createCgroup,
  detectLayout,
  planCgroup,
} from "../../cgroup/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Spec } from "../../spec/mod.ts";
import type { OwnRecord } from "./images.ts";

/** The groups of a container that is to be restored. @throws {CrateError} */
export function planGroups({ linux }: Spec, id: string): CgroupPlan {
  return planCgroup(detectLayout(), linux?.cgroupsPath || `/${id}`, linux?.resources ?? {});
}

/** Makes them; an engine may have made them before, for a pod. @throws {CrateError} */
export function makeGroups(plan: CgroupPlan): void {
  try {
    createCgroup(plan);
  } catch (error) {
    const isEmpty = error instanceof CrateError && error.code === "EXISTS" &&
      cgroupProcesses(plan).length === 0;
    if (!isEmpty) throw error;
    createCgroup(plan, { existing: true });
  }
}

/** The files by which criu enters them. */
export function entrances({ join, joinDirectory }: CgroupPlan): string[] {
  return joinDirectory === undefined ? [...join] : [...join, `${joinDirectory}/cgroup.procs`];
}

/**
 * Where criu is to make the groups that are in the images: `cg_root` of its options. Nothing, when it is where they
 * were: the container may have had groups of its own below.
 */
export function movedTo(plan: CgroupPlan, own: OwnRecord | undefined): { path: string }[] {
  const before = own?.cgroupsPath?.split("/").filter((name) => name !== "").join("/");
  return before !== undefined && `/${before}` === plan.path ? [] : [{ path: plan.path }];
}
