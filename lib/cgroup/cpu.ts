import type { LinuxResources } from "../spec/mod.ts";
import {
  type Controller,
  decimal,
  decimalOrMax,
  isSet,
  keyed,
  limited,
  type ReadFile,
  type Setting,
  unsupported,
} from "./controller.ts";

/** Processor time that a group has used, and has been kept from using. Times are nanoseconds. */
export interface CpuStats {
  readonly usage: number;
  /** Of it, in user mode; in the kernel. */
  readonly user: number;
  readonly system: number;
  /** Counts: how many periods with a quota have passed, and in how many the group had to wait. */
  readonly periods: number;
  readonly throttledPeriods: number;
  readonly throttledTime: number;
}

function settingsV1(resources: LinuxResources): Setting[] {
  const { cpu } = resources;
  const settings: Setting[] = [];
  if (cpu === undefined) return settings;
  const put = (file: string, value: number | undefined, field: string) => {
    if (value !== undefined) settings.push({ file, value: decimal(value, field), field });
  };
  const putSet = (file: string, value: number | undefined, field: string) => {
    if (isSet(value)) put(file, value, field);
  };
  putSet("cpu.shares", cpu.shares, "cpu.shares");
  put("cpu.idle", cpu.idle, "cpu.idle");
  // The period before the quota, which may not exceed it; the burst after both.
  putSet("cpu.cfs_period_us", cpu.period, "cpu.period");
  putSet("cpu.cfs_quota_us", cpu.quota, "cpu.quota");
  put("cpu.cfs_burst_us", cpu.burst, "cpu.burst");
  putSet("cpu.rt_period_us", cpu.realtimePeriod, "cpu.realtimePeriod");
  putSet("cpu.rt_runtime_us", cpu.realtimeRuntime, "cpu.realtimeRuntime");
  return settings;
}

function settingsV2(resources: LinuxResources): Setting[] {
  const { cpu } = resources;
  const settings: Setting[] = [];
  if (cpu === undefined) return settings;
  for (const field of ["realtimePeriod", "realtimeRuntime"] as const) {
    if (isSet(cpu[field])) {
      throw unsupported(`cpu.${field}`, "cgroup v2 does not schedule real-time groups");
    }
  }
  if (isSet(cpu.shares)) {
    const field = "cpu.shares";
    const shares = Number(decimal(cpu.shares, field));
    settings.push({ file: "cpu.weight", value: sharesToWeight(shares), field });
  }
  if (cpu.idle !== undefined) {
    settings.push({ file: "cpu.idle", value: decimal(cpu.idle, "cpu.idle"), field: "cpu.idle" });
  }
  if (isSet(cpu.quota) || isSet(cpu.period)) {
    const quota = isSet(cpu.quota) ? decimalOrMax(cpu.quota, "cpu.quota") : "max";
    const period = isSet(cpu.period) ? ` ${decimal(cpu.period, "cpu.period")}` : "";
    const field = isSet(cpu.quota) ? "cpu.quota" : "cpu.period";
    settings.push({ file: "cpu.max", value: quota + period, field });
  }
  if (cpu.burst !== undefined) {
    const field = "cpu.burst";
    settings.push({ file: "cpu.max.burst", value: decimal(cpu.burst, field), field });
  }
  return settings;
}

/**
 * cgroup v1's shares (2 to 262144, 1024 by default) as cgroup v2's weight (1 to 10000, 100 by
 * default): the curve through the two ends and the two defaults that runc has used since 1.3.2 and
 * crun since 1.23, 10^((log2(shares)^2 + 125 log2(shares)) / 612 - 7/34), rounded up.
 *
 * @see https://github.com/opencontainers/runc/issues/4896
 */
export function sharesToWeight(shares: number): string {
  if (shares <= 2) return "1";
  if (shares >= 262144) return "10000";
  const l = Math.log2(shares);
  const weight = 10 ** ((l * l + 125 * l) / 612 - 7 / 34);
  // The curve meets its defaults exactly; a last bit above them must not round up to the next weight.
  return String(Math.ceil(weight - 1e-9));
}

function statsV1(read: ReadFile): CpuStats | undefined {
  const usage = limited(read("cpuacct.usage"));
  if (usage === undefined) return undefined;
  const stat = keyed(read("cpu.stat"));
  return {
    usage,
    user: limited(read("cpuacct.usage_user")) ?? 0,
    system: limited(read("cpuacct.usage_sys")) ?? 0,
    periods: stat.nr_periods ?? 0,
    throttledPeriods: stat.nr_throttled ?? 0,
    throttledTime: stat.throttled_time ?? 0,
  };
}

function statsV2(read: ReadFile): CpuStats | undefined {
  // Every group counts time, with the controller enabled or not; throttling only with it.
  const stat = keyed(read("cpu.stat"));
  if (stat.usage_usec === undefined) return undefined;
  return {
    usage: stat.usage_usec * 1000,
    user: (stat.user_usec ?? 0) * 1000,
    system: (stat.system_usec ?? 0) * 1000,
    periods: stat.nr_periods ?? 0,
    throttledPeriods: stat.nr_throttled ?? 0,
    throttledTime: (stat.throttled_usec ?? 0) * 1000,
  };
}

/**
 * Shares of and limits on processor time. (v1's time is counted by a controller of its own,
 * `cpuacct`, which limits nothing.)
 *
 * @see https://docs.kernel.org/scheduler/sched-bwc.html
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu
 */
export const cpu: Controller<CpuStats> = {
  field: "cpu",
  v1: "cpu",
  v2: "cpu",
  settingsV1,
  settingsV2,
  statsV1,
  statsV2,
};
