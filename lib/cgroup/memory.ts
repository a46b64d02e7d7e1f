import type { LinuxResources } from "../spec/mod.ts";
import {
  type Controller,
  decimal,
  decimalOrMax,
  invalid,
  isSet,
  keyed,
  limited,
  type ReadFile,
  type Setting,
  unsupported,
} from "./controller.ts";

/** What a group uses of memory. Bytes, except where said; no limit is no property. */
export interface MemoryStats {
  /** Everything charged to the group, page cache included. */
  readonly usage: number;
  readonly limit?: number;
  /** The most that was ever used; cgroup v2 counts it since Linux 5.19. */
  readonly max?: number;
  /** Swap alone; on a kernel that counts it. */
  readonly swap?: number;
  /** Page cache. */
  readonly cache: number;
  /** Cache that the kernel gives up first: `usage - inactiveFile` is what `docker stats` shows. */
  readonly inactiveFile: number;
  /** How many processes the OOM killer has ended, a count. */
  readonly oomKills: number;
}

type Memory = NonNullable<LinuxResources["memory"]>;

const KERNEL_LIMIT = "Linux no longer limits kernel memory apart from the rest (since 5.16); " +
  "memory.limit covers both";

/** The fields that mean the same for both versions: checked, never written. */
function check(memory: Memory): void {
  if ((memory.kernel ?? 0) > 0) throw unsupported("memory.kernel", KERNEL_LIMIT);
  // Accounting is hierarchical in every kernel since 5.11: `true` holds without a write.
  if (memory.useHierarchy === false) {
    throw unsupported("memory.useHierarchy", "Linux knows hierarchical accounting only");
  }
  const { limit = 0, swap = 0 } = memory;
  if (swap <= 0) return;
  if (limit <= 0) throw invalid("memory.swap", "needs memory.limit, which it includes");
  if (swap < limit) {
    throw invalid(
      "memory.swap",
      `is memory and swap together: ${swap} is below the limit ${limit}`,
    );
  }
}

function settingsV1(resources: LinuxResources): Setting[] {
  const { memory } = resources;
  const settings: Setting[] = [];
  if (memory === undefined) return settings;
  check(memory);
  const put = (file: string, value: number | undefined, field: string) => {
    if (isSet(value)) settings.push({ file, value: decimal(value, field), field });
  };
  // The limit first: the kernel refuses a memsw limit below it, and a fresh group has neither.
  put("memory.limit_in_bytes", memory.limit, "memory.limit");
  put("memory.memsw.limit_in_bytes", memory.swap, "memory.swap");
  put("memory.soft_limit_in_bytes", memory.reservation, "memory.reservation");
  put("memory.kmem.tcp.limit_in_bytes", memory.kernelTCP, "memory.kernelTCP");
  if (memory.swappiness !== undefined) {
    const field = "memory.swappiness";
    settings.push({ file: "memory.swappiness", value: decimal(memory.swappiness, field), field });
  }
  if (memory.disableOOMKiller) {
    settings.push({ file: "memory.oom_control", value: "1", field: "memory.disableOOMKiller" });
  }
  return settings;
}

function settingsV2(resources: LinuxResources): Setting[] {
  const { memory } = resources;
  const settings: Setting[] = [];
  if (memory === undefined) return settings;
  check(memory);
  if ((memory.kernelTCP ?? 0) > 0) {
    throw unsupported("memory.kernelTCP", "cgroup v2 counts TCP buffers in memory.limit only");
  }
  if (memory.swappiness !== undefined) {
    throw unsupported("memory.swappiness", "cgroup v2 has no swappiness of a group");
  }
  if (memory.disableOOMKiller) {
    throw unsupported("memory.disableOOMKiller", "cgroup v2 cannot switch the OOM killer off");
  }
  if (isSet(memory.limit)) {
    const field = "memory.limit";
    settings.push({ file: "memory.max", value: decimalOrMax(memory.limit, field), field });
  }
  const swap = swapMax(memory);
  if (swap !== undefined) {
    settings.push({ file: "memory.swap.max", value: swap, field: "memory.swap" });
  }
  if (isSet(memory.reservation)) {
    const field = "memory.reservation";
    // An unlimited reservation is v1's way to say "none".
    const value = memory.reservation < 0 ? "0" : decimal(memory.reservation, field);
    settings.push({ file: "memory.low", value, field });
  }
  return settings;
}

/** v2 counts swap alone, the OCI field swap and memory together. */
function swapMax({ limit = 0, swap = 0 }: Memory): string | undefined {
  if (swap < 0) return "max";
  if (swap > 0) return decimal(swap - limit, "memory.swap");
  // As v1 has it: unlimited memory, and nothing said of swap, is unlimited swap.
  return limit < 0 ? "max" : undefined;
}

function statsV1(read: ReadFile): MemoryStats | undefined {
  const usage = limited(read("memory.usage_in_bytes"));
  if (usage === undefined) return undefined;
  const stat = keyed(read("memory.stat"));
  const oom = keyed(read("memory.oom_control"));
  return {
    usage,
    limit: limited(read("memory.limit_in_bytes")),
    max: limited(read("memory.max_usage_in_bytes")),
    swap: stat.total_swap,
    cache: stat.total_cache ?? 0,
    inactiveFile: stat.total_inactive_file ?? 0,
    oomKills: oom.oom_kill ?? 0,
  };
}

function statsV2(read: ReadFile): MemoryStats | undefined {
  const usage = limited(read("memory.current"));
  if (usage === undefined) return undefined;
  const stat = keyed(read("memory.stat"));
  return {
    usage,
    limit: limited(read("memory.max")),
    max: limited(read("memory.peak")),
    swap: limited(read("memory.swap.current")),
    cache: stat.file ?? 0,
    inactiveFile: stat.inactive_file ?? 0,
    oomKills: keyed(read("memory.events")).oom_kill ?? 0,
  };
}

/**
 * Memory and swap.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#memory
 */
export const memory: Controller<MemoryStats> = {
  field: "memory",
  v1: "memory",
  v2: "memory",
  settingsV1,
  settingsV2,
  statsV1,
  statsV2,
};
