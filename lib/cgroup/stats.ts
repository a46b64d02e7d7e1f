import { blkio, type DeviceIoStats } from "./blkio.ts";
import { cpu, type CpuStats } from "./cpu.ts";
import type { Controller, ReadFile } from "./controller.ts";
import { hugetlb, type HugetlbStats } from "./hugetlb.ts";
import { type CgroupLocation, readerOf } from "./location.ts";
import { memory, type MemoryStats } from "./memory.ts";
import { pids, type PidsStats } from "./pids.ts";

/** What a container uses. A controller that its groups do not have is not there. */
export interface CgroupStats {
  readonly memory?: MemoryStats;
  readonly cpu?: CpuStats;
  readonly pids?: PidsStats;
  /** One entry for each block device that was used. */
  readonly io?: readonly DeviceIoStats[];
  /** By page size, `2MB`. */
  readonly hugetlb?: Readonly<Record<string, HugetlbStats>>;
}

/**
 * Reads what a container uses, from whichever version of cgroups counts it.
 *
 * @returns memory and I/O in bytes, times in nanoseconds, counts as numbers; an empty object when the
 * groups are not there.
 *
 * @example
 * ```ts
 * import { detectLayout, locateCgroup, readStats } from "./mod.ts";
 * const { memory, pids } = readStats(locateCgroup(detectLayout(), "/crate/gone"));
 * if (memory?.usage !== undefined || pids !== undefined) throw new Error();
 * ```
 */
export function readStats(location: CgroupLocation): CgroupStats {
  const read = readerOf(location);
  const stats = <S>(controller: Controller<S>): S | undefined =>
    statsOf(controller, location, read);
  return {
    memory: stats(memory),
    cpu: stats(cpu),
    pids: stats(pids),
    io: stats(blkio),
    hugetlb: stats(hugetlb),
  };
}

function statsOf<S>(
  controller: Controller<S>,
  { v1, v2 }: CgroupLocation,
  read: ReadFile,
): S | undefined {
  if (controller.v1 !== undefined && v1.has(controller.v1)) return controller.statsV1(read);
  return v2 === undefined ? undefined : controller.statsV2(read);
}
