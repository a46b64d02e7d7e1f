import type { LinuxResources } from "../spec/mod.ts";
import { type Controller, decimal, noStats, type Setting } from "./controller.ts";

/** Both versions have the same file, and one line a device. */
function settings({ rdma }: LinuxResources): Setting[] {
  return Object.entries(rdma ?? {}).map(([device, { hcaHandles, hcaObjects }]) => {
    const field = `rdma.${device}`;
    let value = device;
    if (hcaHandles !== undefined) value += ` hca_handle=${decimal(hcaHandles, field)}`;
    if (hcaObjects !== undefined) value += ` hca_object=${decimal(hcaObjects, field)}`;
    return { file: "rdma.max", value, field };
  });
}

/**
 * Resources of RDMA devices.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#rdma
 */
export const rdma: Controller = {
  field: "rdma",
  v1: "rdma",
  v2: "rdma",
  settingsV1: settings,
  settingsV2: settings,
  statsV1: noStats,
  statsV2: noStats,
};
