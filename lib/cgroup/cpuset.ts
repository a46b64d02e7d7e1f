import type { LinuxResources } from "../spec/mod.ts";
import { type Controller, noStats, type Setting } from "./controller.ts";

/** Both versions have the same files. */
function settings({ cpu }: LinuxResources): Setting[] {
  const settings: Setting[] = [];
  if (cpu?.cpus) settings.push({ file: "cpuset.cpus", value: cpu.cpus, field: "cpu.cpus" });
  if (cpu?.mems) settings.push({ file: "cpuset.mems", value: cpu.mems, field: "cpu.mems" });
  return settings;
}

/**
 * Which processors and memory nodes.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v1/cpusets.html
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#cpuset
 */
export const cpuset: Controller = {
  field: "cpu",
  v1: "cpuset",
  v2: "cpuset",
  settingsV1: settings,
  settingsV2: settings,
  statsV1: noStats,
  statsV2: noStats,
};
