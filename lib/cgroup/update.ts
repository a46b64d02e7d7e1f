import { CrateError } from "../errors.ts";
import { enableControllers } from "./enable.ts";
import type { CgroupPlan } from "./plan.ts";
import { writeSettings } from "./write.ts";

/**
 * Writes a plan's limits into groups that are there.
 *
 * @throws {CrateError} as `createCgroup`.
 *
 * @example
 * ```ts
 * import { detectLayout, planCgroup, updateCgroup } from "./mod.ts";
 * updateCgroup(planCgroup(detectLayout(), "/crate/none", {}, { devices: false }));
 * ```
 */
export function updateCgroup(plan: CgroupPlan): void {
  if (plan.writes.length === 0) return;
  if (plan.v2 !== undefined && plan.enable !== undefined) {
    enableControllers(plan.v2, { ...plan.enable, wanted: [] });
  }
  try {
    writeSettings(plan.writes);
  } catch (error) {
    // v1's limit of memory and swap must never be below that of memory, nor a quota above what another
    // allows: which of two comes first depends on whether they grow or shrink.
    if (!(error instanceof CrateError) || error.code !== "INVALID") throw error;
    writeSettings(plan.writes.toReversed());
  }
}
