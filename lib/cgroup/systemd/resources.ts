import type { CgroupWrite } from "../write.ts";
import { INFINITY, type Property } from "./property.ts";

// What is to be written into a group's files, as properties of its unit: so systemd, which writes the same
// files whenever it sees fit, writes the same. What is not here it does not touch.

/** systemd's versions that have learnt a property. */
const SINCE = { quotaPeriod: 242, allowed: 244, idle: 252 } as const;
/** A quota's period when nothing is said, microseconds. */
const PERIOD = 100_000n;
const SECOND = 1_000_000n;
/** systemd counts a quota in hundredths of a processor: this many microseconds of each second. */
const STEP = 10_000n;

/** Files whose value is a number or "no limit". */
const NUMBERS: Readonly<Record<string, string>> = {
  "memory.max": "MemoryMax",
  "memory.high": "MemoryHigh",
  "memory.low": "MemoryLow",
  "memory.min": "MemoryMin",
  "memory.swap.max": "MemorySwapMax",
  "cpu.weight": "CPUWeight",
  "pids.max": "TasksMax",
  // cgroup v1's
  "memory.limit_in_bytes": "MemoryLimit",
  "cpu.shares": "CPUShares",
  "blkio.bfq.weight": "BlockIOWeight",
};

const SETS: Readonly<Record<string, string>> = {
  "cpuset.cpus": "AllowedCPUs",
  "cpuset.mems": "AllowedMemoryNodes",
};

/**
 * The properties that say what a plan's writes say.
 *
 * @param version systemd's: an older one is not asked for what it does not know.
 *
 * @example
 * ```ts
 * import { resourceProperties } from "./resources.ts";
 * const file = "/sys/fs/cgroup/a/pids.max";
 * const [tasks] = resourceProperties([{ file, value: "20", field: "pids.limit" }], 252);
 * if (tasks?.name !== "TasksMax" || tasks.value !== 20n) throw new Error();
 * ```
 */
export function resourceProperties(writes: readonly CgroupWrite[], version: number): Property[] {
  const properties: Property[] = [];
  const put = (name: string, value: bigint) => properties.push({ name, signature: "t", value });
  let quota: bigint | undefined;
  let period: bigint | undefined;
  for (const { file, value } of writes) {
    const name = file.slice(file.lastIndexOf("/") + 1);
    const number = NUMBERS[name];
    const set = SETS[name];
    if (number !== undefined) {
      const limit = limitOf(value);
      if (limit !== undefined) put(number, limit);
    } else if (set !== undefined && version >= SINCE.allowed) {
      const bits = bitsOf(value);
      if (bits !== undefined) properties.push({ name: set, signature: "ay", value: bits });
    } else if (name === "cpu.idle" && value === "1" && version >= SINCE.idle) put("CPUWeight", 0n);
    else if (name === "cpu.max") {
      const [most = "", every] = value.split(/\s+/);
      quota = limitOf(most);
      if (every !== undefined) period = limitOf(every);
    } else if (name === "cpu.cfs_quota_us") quota = limitOf(value);
    else if (name === "cpu.cfs_period_us") period = limitOf(value);
  }
  if (period !== undefined && version >= SINCE.quotaPeriod) put("CPUQuotaPeriodUSec", period);
  if (quota !== undefined) put("CPUQuotaPerSecUSec", perSecond(quota, period ?? PERIOD));
  else if (period !== undefined) put("CPUQuotaPerSecUSec", INFINITY);
  return properties;
}

/** A number of a file; undefined for what is none, which the kernel will refuse. */
function limitOf(value: string): bigint | undefined {
  if (value === "max" || /^-\d+$/.test(value)) return INFINITY;
  return /^\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}

/** Rounded up: a group below must get what it asks for. */
function perSecond(quota: bigint, period: bigint): bigint {
  if (quota === INFINITY || period === 0n) return INFINITY;
  const exact = quota * SECOND / period;
  return (exact + STEP - 1n) / STEP * STEP;
}

/** More processors or memory nodes than any kernel has. */
const MOST_BITS = 1 << 16;

/** A list such as `0-3,7` as a bit for each; undefined for what is none, which the kernel will refuse. */
function bitsOf(list: string): Uint8Array<ArrayBuffer> | undefined {
  const bits: number[] = [];
  for (const range of list.trim().split(",")) {
    const [, first, last = first] = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(range) ?? [];
    if (first === undefined || Number(last) < Number(first) || Number(last) >= MOST_BITS) {
      return undefined;
    }
    for (let bit = Number(first); bit <= Number(last); bit++) {
      while (bits.length <= bit >> 3) bits.push(0);
      bits[bit >> 3]! |= 1 << (bit & 7);
    }
  }
  return new Uint8Array(bits);
}
