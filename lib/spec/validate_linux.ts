/**
 * Validation of `linux`, but for its resources and seccomp filter.
 *
 * @module
 */
import type { LinuxNamespaceType } from "./types.ts";
import {
  absolute,
  at,
  cpuList,
  each,
  fail,
  type Fields,
  given,
  integer,
  object,
  oneOf,
  optionalBoolean,
  optionalEach,
  optionalInteger,
  optionalObject,
  optionalStrings,
  optionalText,
  optionalWord,
  refuse,
  stringMap,
} from "./check.ts";
import { validateIDMapping } from "./validate_mounts.ts";
import { validateResources } from "./validate_resources.ts";
import { validateSeccomp } from "./validate_seccomp.ts";
import { sysctlNamespace, sysctlPath } from "./sysctl.ts";
import { MAX_ID, MAX_UINT32 } from "./largest.ts";

/** Which namespaces a config asks for, with the path of each that is joined. */
export type Namespaces = ReadonlyMap<LinuxNamespaceType, string | undefined>;

/** The types of namespaces. */
export const NAMESPACES = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"];

/** `linux.namespaces`, checked: each type once. */
export function readNamespaces(linux: Fields | undefined, where: string): Namespaces {
  const found = new Map<LinuxNamespaceType, string | undefined>();
  if (linux === undefined) return found;
  optionalEach(linux, "namespaces", where, (value, field) => {
    const namespace = object(value, field);
    const type = oneOf(namespace.type, at(field, "type"), NAMESPACES) as LinuxNamespaceType;
    if (found.has(type)) fail(`${field} names the ${type} namespace a second time`);
    const path = optionalText(namespace, "path", field);
    if (path !== undefined && path !== "") absolute(path, at(field, "path"));
    found.set(type, path === "" ? undefined : path);
  });
  return found;
}

const PROPAGATIONS = [
  "private",
  "rprivate",
  "shared",
  "rshared",
  "slave",
  "rslave",
  "unbindable",
  "runbindable",
];

/** Throws `INVALID` unless the value is a `linux` that fits the rest of the config. */
export function validateLinux(
  linux: Fields,
  where: string,
  namespaces: Namespaces,
  spec: Fields,
): void {
  const inNamespace: Ask = (ask) => (value, field) => ask(value, field, namespaces);
  given(linux, "uidMappings", where, inNamespace(idMappings));
  given(linux, "gidMappings", where, inNamespace(idMappings));
  given(linux, "sysctl", where, (value, field) => sysctls(value, field, namespaces, spec));
  optionalText(linux, "cgroupsPath", where);
  optionalEach(linux, "devices", where, device);
  given(linux, "resources", where, validateResources);
  given(linux, "seccomp", where, validateSeccomp);
  optionalWord(linux, "rootfsPropagation", where, PROPAGATIONS);
  given(linux, "maskedPaths", where, inNamespace(hiddenPaths));
  given(linux, "readonlyPaths", where, inNamespace(hiddenPaths));
  optionalText(linux, "mountLabel", where);
  given(linux, "netDevices", where, inNamespace(netDevices));
  given(linux, "intelRdt", where, intelRdt);
  given(linux, "memoryPolicy", where, memoryPolicy);
  given(linux, "personality", where, personality);
  given(linux, "timeOffsets", where, inNamespace(timeOffsets));
}

/** Gives a question about a field the namespaces to ask it with. */
type Ask = (
  ask: (value: unknown, field: string, namespaces: Namespaces) => void,
) => (value: unknown, field: string) => void;

function idMappings(value: unknown, field: string, namespaces: Namespaces): void {
  const maps = each(value, field, validateIDMapping);
  if (maps.length > 0 && !namespaces.has("user")) {
    fail(`${field} needs a user namespace in linux.namespaces`);
  }
  // user_namespaces(7): a map is at most 340 lines long.
  if (maps.length > 340) fail(`${field} has ${maps.length} lines, the kernel takes 340`);
}

function sysctls(value: unknown, field: string, namespaces: Namespaces, spec: Fields): void {
  for (const name of Object.keys(stringMap(value, field))) {
    const path = sysctlPath(name);
    if (path === undefined) fail(`${field}: "${name}" is not a kernel parameter's name`);
    const namespace = sysctlNamespace(path);
    if (namespace === undefined) {
      fail(`${field}: ${name} belongs to no namespace: setting it would change the whole host`);
    }
    if (!namespaces.has(namespace)) {
      fail(`${field}: ${name} needs the ${namespace} namespace in linux.namespaces`);
    }
    if (path === "kernel/hostname" && spec.hostname) {
      fail(`${field}: ${name} and hostname say the same thing: leave one out`);
    }
    if (path === "kernel/domainname" && spec.domainname) {
      fail(`${field}: ${name} and domainname say the same thing: leave one out`);
    }
  }
}

function hiddenPaths(value: unknown, field: string, namespaces: Namespaces): void {
  const paths = each(value, field, absolute);
  if (paths.length > 0 && !namespaces.has("mount")) {
    fail(`${field} needs a mount namespace in linux.namespaces`);
  }
}

// The kernel's dev_t inside: 12 bits of major and 20 of minor number.
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xf_ffff;

function device(value: unknown, field: string): void {
  const fields = object(value, field);
  const path = absolute(fields.path, at(field, "path"));
  if (path.endsWith("/")) refuse(at(field, "path"), "name a file", path);
  const type = oneOf(fields.type, at(field, "type"), ["b", "c", "u", "p"]);
  if (type === "p") {
    optionalInteger(fields, "major", field, 0, MAX_MAJOR);
    optionalInteger(fields, "minor", field, 0, MAX_MINOR);
  } else {
    integer(fields.major, at(field, "major"), 0, MAX_MAJOR);
    integer(fields.minor, at(field, "minor"), 0, MAX_MINOR);
  }
  optionalInteger(fields, "fileMode", field, 0, MAX_UINT32);
  optionalInteger(fields, "uid", field, 0, MAX_ID);
  optionalInteger(fields, "gid", field, 0, MAX_ID);
}

function netDevices(value: unknown, field: string, namespaces: Namespaces): void {
  const devices = object(value, field);
  const names = Object.keys(devices);
  if (names.length > 0 && !namespaces.has("network")) {
    fail(`${field} needs a network namespace in linux.namespaces`);
  }
  for (const host of names) {
    const here = `${field}[${JSON.stringify(host)}]`;
    const inside = optionalText(object(devices[host], here), "name", here);
    for (const name of [host, inside || host]) {
      // IFNAMSIZ with its NUL is 16; the rest is what the kernel's dev_valid_name() refuses.
      if (!/^[^/:\s]{1,15}$/.test(name) || name === "." || name === "..") {
        refuse(here, "name a network device", name);
      }
    }
  }
}

function intelRdt(value: unknown, field: string): void {
  const rdt = object(value, field);
  const closID = optionalText(rdt, "closID", field);
  if (closID !== undefined && (closID === "." || closID === ".." || /[/\n]/.test(closID))) {
    refuse(at(field, "closID"), "be a directory's name", closID);
  }
  optionalStrings(rdt, "schemata", field);
  optionalText(rdt, "l3CacheSchema", field);
  const bandwidth = optionalText(rdt, "memBwSchema", field);
  if (bandwidth !== undefined && !/^MB:[^\n]*$/.test(bandwidth)) {
    refuse(at(field, "memBwSchema"), 'be one line that starts with "MB:"', bandwidth);
  }
  for (const key of ["enableMonitoring", "enableCMT", "enableMBM"]) {
    optionalBoolean(rdt, key, field);
  }
}

const POLICY_MODES = [
  "MPOL_DEFAULT",
  "MPOL_BIND",
  "MPOL_INTERLEAVE",
  "MPOL_WEIGHTED_INTERLEAVE",
  "MPOL_PREFERRED",
  "MPOL_PREFERRED_MANY",
  "MPOL_LOCAL",
];
const POLICY_FLAGS = ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];

function memoryPolicy(value: unknown, field: string): void {
  const policy = object(value, field);
  optionalWord(policy, "mode", field, POLICY_MODES);
  cpuList(policy, "nodes", field);
  optionalEach(policy, "flags", field, (flag, name) => oneOf(flag, name, POLICY_FLAGS));
}

function personality(value: unknown, field: string): void {
  const fields = object(value, field);
  optionalWord(fields, "domain", field, ["LINUX", "LINUX32"]);
  optionalStrings(fields, "flags", field);
}

function timeOffsets(value: unknown, field: string, namespaces: Namespaces): void {
  const offsets = object(value, field);
  for (const clock of ["monotonic", "boottime"]) {
    const offset = optionalObject(offsets, clock, field);
    if (offset === undefined) continue;
    const here = at(field, clock);
    optionalInteger(offset, "secs", here, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    optionalInteger(offset, "nanosecs", here, 0, 999_999_999);
    if (!namespaces.has("time")) fail(`${field} needs a time namespace in linux.namespaces`);
  }
}
