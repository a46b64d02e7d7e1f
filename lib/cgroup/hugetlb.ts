import type { LinuxResources } from "../spec/mod.ts";
import {
  type Controller,
  decimal,
  invalid,
  limited,
  type ReadFile,
  type Setting,
} from "./controller.ts";

/** Huge pages of one size that a group uses, in bytes; `failures` counts refused allocations. */
export interface HugetlbStats {
  readonly usage: number;
  readonly limit?: number;
  readonly failures: number;
}

// Every size the kernel has on some machine; a group has files for those of its own.
const SIZES = ["64KB", "1MB", "2MB", "8MB", "16MB", "32MB", "256MB", "512MB", "1GB", "2GB", "16GB"];

/** Reservations are limited as well as use: then a program is refused at mmap, not by SIGBUS. */
function settings(resources: LinuxResources, file: string): Setting[] {
  return (resources.hugepageLimits ?? []).flatMap(({ pageSize, limit }, i) => {
    const field = `hugepageLimits[${i}]`;
    if (!/^[1-9][0-9]*[KMG]B$/.test(pageSize)) {
      throw invalid(`${field}.pageSize`, `must be a size such as "2MB", got "${pageSize}"`);
    }
    const value = decimal(limit, `${field}.limit`);
    return [
      { file: `hugetlb.${pageSize}.${file}`, value, field },
      { file: `hugetlb.${pageSize}.rsvd.${file}`, value, field },
    ];
  });
}

function statsOf(
  one: (size: string) => HugetlbStats | undefined,
): Record<string, HugetlbStats> | undefined {
  const stats: Record<string, HugetlbStats> = {};
  let found = false;
  for (const size of SIZES) {
    const entry = one(size);
    if (entry === undefined) continue;
    stats[size] = entry;
    found = true;
  }
  return found ? stats : undefined;
}

function statsV1(read: ReadFile): Record<string, HugetlbStats> | undefined {
  return statsOf((size) => {
    const usage = limited(read(`hugetlb.${size}.usage_in_bytes`));
    if (usage === undefined) return undefined;
    return {
      usage,
      limit: limited(read(`hugetlb.${size}.limit_in_bytes`)),
      failures: limited(read(`hugetlb.${size}.failcnt`)) ?? 0,
    };
  });
}

function statsV2(read: ReadFile): Record<string, HugetlbStats> | undefined {
  return statsOf((size) => {
    const usage = limited(read(`hugetlb.${size}.current`));
    if (usage === undefined) return undefined;
    const events = read(`hugetlb.${size}.events`);
    return {
      usage,
      limit: limited(read(`hugetlb.${size}.max`)),
      failures: Number(events?.match(/^max (\d+)/m)?.[1] ?? 0),
    };
  });
}

/**
 * Huge pages.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v1/hugetlb.html
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#hugetlb
 */
export const hugetlb: Controller<Record<string, HugetlbStats>> = {
  field: "hugepageLimits",
  v1: "hugetlb",
  v2: "hugetlb",
  settingsV1: (resources) => settings(resources, "limit_in_bytes"),
  settingsV2: (resources) => settings(resources, "max"),
  statsV1,
  statsV2,
};
