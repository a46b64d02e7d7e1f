import { arch, exists, readText } from "../../ffi/mod.ts";
import { detectLayout } from "../cgroup/mod.ts";
import { allCapabilities, DEFAULT_CAPABILITIES, defaultSeccompProfile } from "../security/mod.ts";
import {
  type LinuxDevice,
  type Mount,
  type RunOptions,
  type Spec,
  specFromOptions,
} from "../spec/mod.ts";

/**
 * The mounts by which a container's root is a copy-on-write view of the host's own: an overlay over
 * `/`, and, as on a host, a tmpfs on /run, so that what the host keeps there is not in view.
 *
 * @param keep where changes go: `upper` and `work` below it; absent: to a tmpfs of the container's.
 */
export function hostView(keep?: string): Mount[] {
  const kept = keep === undefined ? [] : [`upperdir=${keep}/upper`, `workdir=${keep}/work`];
  return [
    { destination: "/", type: "overlay", source: "overlay", options: ["lowerdir=/", ...kept] },
    {
      destination: "/run",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "nodev", "mode=755"],
    },
  ];
}

/** The config of a container from options, with docker's default capabilities and filter. */
export function makeSpec(options: RunOptions, hostDevices?: () => LinuxDevice[]): Spec {
  const { privileged, capAdd } = options;
  return specFromOptions(options, {
    capabilities: DEFAULT_CAPABILITIES,
    allCapabilities: privileged || capAdd?.length ? allCapabilities() : [],
    seccomp: (capabilities) => defaultSeccompProfile({ capabilities, arch }),
    hostDevices: privileged ? hostDevices?.() : undefined,
    swapLimit: options.memory !== undefined && options.memorySwap === undefined && countsSwap(),
  });
}

/** Whether this host has swap that a container could use, and limits it. */
function countsSwap(): boolean {
  if (readText("/proc/swaps").trim().split("\n").length < 2) return false;
  const memory = detectLayout().v1.get("memory");
  return memory === undefined || exists(`${memory}/memory.memsw.limit_in_bytes`);
}
