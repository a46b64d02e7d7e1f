/**
 * Resource limits, device rules and statistics of containers: cgroup v2, and v1 where a host still
 * has it, in the same words.
 *
 * A container has one group in each hierarchy. {@linkcode planCgroup} says what to make and to write,
 * without touching anything; {@linkcode createCgroup} does it; the plan's `join` and `joinDirectory`
 * tell the container's init how to get in before its first instruction.
 *
 * @module
 */
export { type CgroupLayout, detectLayout } from "./layout.ts";
export { type CgroupJoin, type CgroupLocation, joinFiles, locateCgroup } from "./location.ts";
export { type CgroupEnable, type CgroupPlan, planCgroup, type PlanOptions } from "./plan.ts";
export type { CgroupWrite } from "./write.ts";
export { createCgroup, type CreateOptions } from "./create.ts";
export { updateCgroup } from "./update.ts";
export { attachSteps } from "./device_attach.ts";
export { removeCgroup, type RemoveOptions } from "./remove.ts";
export { cgroupProcesses, isGroupGone } from "./processes.ts";
export { killAll } from "./kill.ts";
export { freeze, type FreezerFiles, freezerFiles, isFrozen, release, thaw } from "./freeze.ts";
export { type CgroupStats, readStats } from "./stats.ts";
export type { ResctrlGroup, ResctrlPlan } from "./resctrl.ts";
export { loadResctrl } from "./load_resctrl.ts";
export type { CpuStats } from "./cpu.ts";
export type { DeviceIoStats } from "./blkio.ts";
export type { HugetlbStats } from "./hugetlb.ts";
export type { MemoryStats } from "./memory.ts";
export type { PidsStats } from "./pids.ts";
export type { Unit, UnitPlan } from "./systemd/mod.ts";
export { loadSystemd } from "./load_systemd.ts";
