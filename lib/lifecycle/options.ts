import { arch, exists } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { detectLayout } from "../cgroup/mod.ts";
import { hasSwap } from "./facts.ts";
import {
  availableCapabilities,
  capabilityBit,
  DEFAULT_CAPABILITIES,
  defaultSeccompProfile,
} from "../security/mod.ts";
import { withOwnGroups } from "./rootless.ts";
import { requireSensible } from "./sensible.ts";
import {
  type LinuxDevice,
  type LinuxSeccomp,
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

// A script that starts many containers asks for the same few filters again and again.
const profiles = new Map<string, LinuxSeccomp>();

function defaultProfile(capabilities: readonly string[]): LinuxSeccomp {
  const key = capabilities.join();
  let profile = profiles.get(key);
  if (profile === undefined) {
    profile = defaultSeccompProfile({ capabilities, arch });
    profiles.set(key, profile);
  }
  return profile;
}

/** Refuses what crate cannot give, since it has it not itself. capabilities(7) */
function requireCapabilities(names: readonly string[]): void {
  for (const name of names) {
    if (name === "ALL" || availableCapabilities().includes(name)) continue;
    capabilityBit(name); // throws for a name that there is not
    throw new CrateError(
      "PERMISSION",
      `${name} cannot be added: crate does not have it itself (CapPrm in /proc/self/status)`,
    );
  }
}

/**
 * The config of a container from options, with docker's default capabilities and filter. What is not
 * named, by default or as `ALL`, is what this process has of it.
 *
 * @throws {CrateError} `INVALID` for a capability that there is not, or for what
 *   {@linkcode requireSensible} refuses, `PERMISSION` for one that this
 *   process cannot give.
 */
export function makeSpec(options: RunOptions, hostDevices?: () => LinuxDevice[]): Spec {
  const { privileged, capAdd = [], capDrop = [] } = options;
  requireSensible(options);
  requireCapabilities(capAdd);
  for (const name of capDrop) if (name !== "ALL") capabilityBit(name);
  const available = availableCapabilities();
  return withOwnGroups(specFromOptions(options, {
    capabilities: DEFAULT_CAPABILITIES.filter((name) => available.includes(name)),
    allCapabilities: available,
    seccomp: defaultProfile,
    hostDevices: privileged ? hostDevices?.() : undefined,
    swapLimit: options.memory !== undefined && options.memorySwap === undefined && countsSwap(),
  }));
}

/** Whether this host has swap that a container could use, and limits it. */
function countsSwap(): boolean {
  if (!hasSwap()) return false;
  const memory = detectLayout().v1.get("memory");
  return memory === undefined || exists(`${memory}/memory.memsw.limit_in_bytes`);
}
