import type { LinuxResources } from "../spec/mod.ts";
import { type Controller, decimal, noStats, type Setting, unsupported } from "./controller.ts";

const V1_ONLY = "cgroup v2 has no controller for it; nftables matches a group's packets there " +
  "(socket cgroupv2)";

function classSettings({ network }: LinuxResources): Setting[] {
  if (!network?.classID) return [];
  const field = "network.classID";
  return [{ file: "net_cls.classid", value: decimal(network.classID, field), field }];
}

function prioritySettings({ network }: LinuxResources): Setting[] {
  return (network?.priorities ?? []).map(({ name, priority }, i) => {
    const field = `network.priorities[${i}]`;
    return { file: "net_prio.ifpriomap", value: `${name} ${decimal(priority, field)}`, field };
  });
}

/** What v1 would write is what v2 must refuse. */
function refuse(settings: Setting[]): Setting[] {
  const [first] = settings;
  if (first !== undefined) throw unsupported(first.field, V1_ONLY);
  return settings;
}

/**
 * The class of a group's packets, cgroup v1 only.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v1/net_cls.html
 */
export const netCls: Controller = {
  field: "network",
  v1: "net_cls",
  settingsV1: classSettings,
  settingsV2: (resources) => refuse(classSettings(resources)),
  statsV1: noStats,
  statsV2: noStats,
};

/**
 * The priority of a group's packets on each interface, cgroup v1 only.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v1/net_prio.html
 */
export const netPrio: Controller = {
  field: "network",
  v1: "net_prio",
  settingsV1: prioritySettings,
  settingsV2: (resources) => refuse(prioritySettings(resources)),
  statsV1: noStats,
  statsV2: noStats,
};
