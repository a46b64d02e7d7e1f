import { CrateError } from "../../errors.ts";
import type { LinuxResources } from "../../spec/mod.ts";
import {
  deviceExceptions,
  type DeviceRule,
  deviceRules,
  restricts,
  withDefaults,
} from "../device_rules.ts";
import type { Property } from "./property.ts";

/** The names of device groups by kind and major number. */
export type DeviceGroups = Readonly<Record<"b" | "c", ReadonlyMap<number, string>>>;

/**
 * A list of device rules as systemd's, which knows devices that are allowed and no others. For a list that it
 * cannot say it is told to leave devices alone: crate's own rules are in force in any case.
 *
 * @param groups of `/proc/devices`: systemd calls a driver's devices by its name.
 * @throws {CrateError} as `deviceRules`.
 */
export function deviceProperties(
  devices: LinuxResources["devices"],
  groups: DeviceGroups,
): Property[] {
  const allowed = allowedOnly(devices, groups);
  return [
    { name: "DevicePolicy", signature: "s", value: allowed === undefined ? "auto" : "strict" },
    // What was there before goes with an empty list; a filled one is added to it.
    { name: "DeviceAllow", signature: "a(ss)", value: [] },
    ...allowed === undefined ? [] : [{ name: "DeviceAllow", signature: "a(ss)", value: allowed }],
  ];
}

/** What is allowed, as pairs of devices and access; undefined when that does not say it all. */
function allowedOnly(
  devices: LinuxResources["devices"],
  groups: DeviceGroups,
): [string, string][] | undefined {
  const rules = deviceRules(devices);
  if (!restricts(rules) || rules.allowOthers) return undefined;
  const pairs: [string, string][] = [];
  try {
    for (const rule of deviceExceptions(withDefaults(rules))) {
      const name = nameOf(rule, groups);
      if (name === undefined) return undefined;
      pairs.push([name, lettersOf(rule)]);
    }
  } catch (error) {
    if (error instanceof CrateError && error.code === "UNSUPPORTED") return undefined;
    throw error;
  }
  return pairs;
}

function nameOf({ type, major, minor }: DeviceRule, groups: DeviceGroups): string | undefined {
  const kind = type === "b" ? "block" : "char";
  if (major === undefined) return minor === undefined ? `${kind}-*` : undefined;
  if (minor !== undefined) return `/dev/${kind}/${major}:${minor}`;
  // One that no driver has taken yet goes by its number.
  return `${kind}-${groups[type].get(major) ?? major}`;
}

function lettersOf({ access }: DeviceRule): string {
  // linux/bpf.h: BPF_DEVCG_ACC_*
  return `${access & 2 ? "r" : ""}${access & 4 ? "w" : ""}${access & 1 ? "m" : ""}`;
}

/** The groups from the text of `/proc/devices`. proc(5) */
export function parseDeviceGroups(text: string): DeviceGroups {
  const groups = { b: new Map<number, string>(), c: new Map<number, string>() };
  let kind: "b" | "c" = "c";
  for (const line of text.split("\n")) {
    if (line.startsWith("Block")) kind = "b";
    else if (line.startsWith("Character")) kind = "c";
    const [, major, name] = /^\s*(\d+) (\S+)$/.exec(line) ?? [];
    // A major may be several drivers'; the first is the one that systemd finds.
    if (major !== undefined && !groups[kind].has(Number(major))) {
      groups[kind].set(Number(major), name!);
    }
  }
  return groups;
}
