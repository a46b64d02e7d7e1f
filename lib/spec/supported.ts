/**
 * What this version cannot do yet, by field.
 *
 * @module
 */
import { CrateError } from "../errors.ts";
import type { Linux, LinuxSeccomp, Mount, Process, Spec } from "./types.ts";

/**
 * Refuses a valid config that asks for something this version does not do: nothing is ever left
 * out in silence.
 *
 * @throws {CrateError} `UNSUPPORTED`, naming the first such field.
 *
 * @example
 * ```ts
 * import { requireSupported, validateSpec } from "./mod.ts";
 * const linux = { namespaces: [{ type: "pid" }, { type: "mount" }] };
 * const process = { args: ["/bin/true"], cwd: "/" };
 * requireSupported(validateSpec({ ociVersion: "1.2.0", root: { path: "/" }, process, linux }));
 * ```
 */
export function requireSupported(spec: Spec): void {
  if (spec.process === undefined) {
    throw new CrateError(
      "UNSUPPORTED",
      "process is missing: a container without one is not supported yet",
    );
  }
  requireProcess(spec.process);
  spec.mounts?.forEach(requireMount);
  requireLinux(spec.linux ?? {});
}

function unsupported(field: string, remedy = "leave it out"): never {
  throw new CrateError("UNSUPPORTED", `${field} is not supported yet: ${remedy}`);
}

/** An empty value asks for nothing: engines write those. */
function refuseField(value: unknown, field: string): void {
  if (value === undefined || value === "") return;
  unsupported(field);
}

function refuseEach(items: readonly unknown[] | undefined, field: string): void {
  if (items !== undefined && items.length > 0) unsupported(field);
}

function refuseKeys(value: object | undefined, field: string): void {
  if (value !== undefined && Object.keys(value).length > 0) unsupported(field);
}

function requireProcess(process: Process): void {
  refuseField(process.selinuxLabel, "process.selinuxLabel");
}

const FILESYSTEMS = new Set([
  "bind",
  "proc",
  "sysfs",
  "tmpfs",
  "devpts",
  "mqueue",
  "cgroup",
  "cgroup2",
  "overlay",
]);

/** Attributes of a mount, each with a recursive form (`rro`): mount_setattr(2). */
const ATTRIBUTES = [
  "ro",
  "rw",
  "nosuid",
  "suid",
  "nodev",
  "dev",
  "noexec",
  "exec",
  "nosymfollow",
  "symfollow",
  "relatime",
  "norelatime",
  "noatime",
  "atime",
  "strictatime",
  "nostrictatime",
  "nodiratime",
  "diratime",
];
const PROPAGATIONS = ["private", "slave", "shared", "unbindable"];
/** Words of the spec and of other runtimes that no filesystem would know. */
const NOT_YET = new Set([
  "remount",
  "iversion",
  "noiversion",
  "silent",
  "loud",
  "copy-symlink",
  "dest-nofollow",
  "src-nofollow",
]);

/** The options that are not a filesystem's own. */
export const MOUNT_OPTIONS: readonly string[] = [
  "bind",
  "rbind",
  "defaults",
  "async",
  "idmap",
  "ridmap",
  "tmpcopyup",
  ...ATTRIBUTES,
  ...ATTRIBUTES.map((name) => `r${name}`),
  ...PROPAGATIONS,
  ...PROPAGATIONS.map((name) => `r${name}`),
];

function requireMount(mount: Mount, index: number): void {
  const field = `mounts[${index}]`;
  const options = mount.options ?? [];
  const bind = mount.type === "bind" || options.includes("bind") || options.includes("rbind");
  if (!bind && !FILESYSTEMS.has(mount.type ?? "")) unsupported(`${field}.type "${mount.type}"`);
  if (!bind) {
    refuseEach(mount.uidMappings, `${field}.uidMappings`);
    refuseEach(mount.gidMappings, `${field}.gidMappings`);
  }
  for (const option of options) {
    if (NOT_YET.has(option)) unsupported(`${field}.options "${option}"`);
    if ((option === "idmap" || option === "ridmap") && !bind) {
      unsupported(
        `${field}.options "${option}"`,
        `a ${mount.type} has the ids that it is made with`,
      );
    }
    if (option === "tmpcopyup" && mount.type !== "tmpfs") {
      unsupported(`${field}.options "${option}"`, "it is for a tmpfs");
    }
    if (bind && !isBindOption(option)) {
      unsupported(`${field}.options "${option}"`, "a bind has no filesystem to hand it to");
    }
  }
}

/** Whether a bind knows the option: it has no filesystem that would take the others as its data. */
function isBindOption(option: string): boolean {
  if (["bind", "rbind", "defaults", "async", "idmap", "ridmap"].includes(option)) return true;
  const plain = option.startsWith("r") ? option.slice(1) : option;
  return ATTRIBUTES.includes(option) || ATTRIBUTES.includes(plain) ||
    PROPAGATIONS.includes(option) || PROPAGATIONS.includes(plain);
}

function requireLinux(linux: Linux): void {
  linux.namespaces?.forEach(({ type, path }, index) => {
    if (type !== "mount" || path === undefined || path === "") return;
    unsupported(
      `linux.namespaces[${index}].path: joining a mount namespace`,
      "its root would be changed",
    );
  });
  if (!(linux.namespaces ?? []).some(({ type }) => type === "mount")) {
    unsupported("linux.namespaces without mount", 'add {"type": "mount"}');
  }
  refuseKeys(linux.netDevices, "linux.netDevices");
  refuseField(linux.mountLabel, "linux.mountLabel");
  refuseField(linux.intelRdt, "linux.intelRdt");
  refuseEach(linux.personality?.flags, "linux.personality.flags");
  if (linux.seccomp !== undefined) requireSeccomp(linux.seccomp);
}

/** The call by which the listener is handed out: nobody could answer for it before. */
const HANDS_OUT = "sendmsg";

function requireSeccomp(seccomp: LinuxSeccomp): void {
  const where = "linux.seccomp";
  const notify = "SCMP_ACT_NOTIFY";
  const rules = (seccomp.syscalls ?? []).map(({ action, names }, index) => ({
    action,
    names,
    field: `${where}.syscalls[${index}]`,
  }));
  const all = [{ action: seccomp.defaultAction, names: [HANDS_OUT], field: where }, ...rules];
  for (const { action, names, field } of all.filter(({ action }) => action === notify)) {
    if (!seccomp.listenerPath) {
      throw new CrateError(
        "INVALID",
        `${field} has ${action}, which needs ${where}.listenerPath: who is to answer`,
      );
    }
    if (names.includes(HANDS_OUT)) {
      unsupported(`${field} with ${action} for ${HANDS_OUT}`, "it hands out the listener itself");
    }
  }
}
