/**
 * What this version cannot do yet, by field.
 *
 * @module
 */
import { CrateError } from "../errors.ts";
import { isIdmapWithMaps, parseIdmapOption } from "./words_idmap.ts";
import type { Linux, LinuxNamespace, LinuxSeccomp, Mount, Spec } from "./types.ts";

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
  requireMounts(spec.mounts ?? []);
  requireLinux(spec.linux ?? {});
}

/** Refuses mounts that this version cannot make. @throws {CrateError} `UNSUPPORTED` */
export function requireMounts(mounts: readonly Mount[]): void {
  mounts.forEach(requireMount);
}

function unsupported(field: string, remedy = "leave it out"): never {
  throw new CrateError("UNSUPPORTED", `${field} is not supported yet: ${remedy}`);
}

function refuseEach(items: readonly unknown[] | undefined, field: string): void {
  if (items !== undefined && items.length > 0) unsupported(field);
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
/** Words for what is so anyway, on every mount. */
const DEFAULTS = ["defaults", "async", "loud", "silent", "noiversion", "nomand", "nolazytime"];
/** The ids of a bind mount's files, or of the layers of the root; with `=`, and maps after it, as crun has them. */
const IDMAPS = ["idmap", "ridmap"];
/** What is for a bind mount alone: the last two are crun's. */
const BINDS = ["bind", "rbind", "copy-symlink", "src-nofollow", "dest-nofollow"];
/** What is a filesystem's, and not a mount's. fsconfig(2) */
const FILESYSTEMS_OWN = ["sync", "dirsync", "mand", "lazytime"];

/** The options that are known for every filesystem. */
export const MOUNT_OPTIONS: readonly string[] = [
  ...DEFAULTS,
  ...IDMAPS,
  ...BINDS,
  ...FILESYSTEMS_OWN,
  "remount",
  "tmpcopyup",
  ...ATTRIBUTES,
  ...ATTRIBUTES.map((name) => `r${name}`),
  ...PROPAGATIONS,
  ...PROPAGATIONS.map((name) => `r${name}`),
];

function requireMount(mount: Mount, index: number): void {
  const field = `mounts[${index}]`;
  const options = mount.options ?? [];
  const has = (...words: readonly string[]) => options.some((option) => words.includes(option));
  const bind = mount.type === "bind" || has("bind", "rbind");
  const remount = has("remount");
  if (!bind && !remount && !FILESYSTEMS.has(mount.type ?? "")) {
    unsupported(`${field}.type "${mount.type}"`);
  }
  if (!bind || remount) {
    refuseEach(mount.uidMappings, `${field}.uidMappings`);
    refuseEach(mount.gidMappings, `${field}.gidMappings`);
  }
  for (const option of options) {
    const why = bind && !remount
      ? isBindOption(option) ? undefined : "a bind has no filesystem to hand it to"
      : notForFilesystem(option, mount, remount);
    if (why !== undefined) unsupported(`${field}.options "${option}"`, why);
    if (isIdmapWithMaps(option)) parseIdmapOption(option, `${field}.options`);
  }
}

/** Why an option is not for a filesystem, or for a mount that is there already; undefined when it is. */
function notForFilesystem(option: string, mount: Mount, remount: boolean): string | undefined {
  const { type } = mount;
  if (option === "iversion") return "no filesystem counts its files' versions because of it";
  if (IDMAPS.includes(option) || isIdmapWithMaps(option)) {
    // The layers of an overlay are mapped, each by itself.
    if (!remount && type === "overlay" && isRoot(mount) && option === "idmap") return undefined;
    return remount
      ? "a mount has the ids that it is made with"
      : `a ${type} has the ids that it is made with`;
  }
  if (option === "tmpcopyup") {
    if (remount) return "what is mounted already is not filled";
    return type === "tmpfs" ? undefined : "it is for a tmpfs";
  }
  const isBinds = BINDS.includes(option) && !(remount && /^r?bind$/.test(option));
  return isBinds ? "it is for a bind mount" : undefined;
}

const isRoot = ({ destination }: Mount) =>
  destination.split("/").every((part) => part === "" || part === ".");

/** Whether a bind knows the option: it has no filesystem that would take the others as its data. */
function isBindOption(option: string): boolean {
  if ([...DEFAULTS, ...IDMAPS, ...BINDS].includes(option) || isIdmapWithMaps(option)) return true;
  const plain = option.startsWith("r") ? option.slice(1) : option;
  return ATTRIBUTES.includes(option) || ATTRIBUTES.includes(plain) ||
    PROPAGATIONS.includes(option) || PROPAGATIONS.includes(plain);
}

/**
 * There is no safe meaning to either: the mounts would be made, and the root would be changed, for whoever lives in
 * that namespace already.
 */
function requireMountNamespace(namespaces: readonly LinuxNamespace[]): void {
  const index = namespaces.findIndex(({ type }) => type === "mount");
  if (index < 0) {
    throw new CrateError(
      "UNSUPPORTED",
      'linux.namespaces has no "mount": the container\'s root would become the host\'s own; add {"type": "mount"}',
    );
  }
  if (!namespaces[index]!.path) return;
  throw new CrateError(
    "UNSUPPORTED",
    `linux.namespaces[${index}].path joins a mount namespace: the container's root would become that of all ` +
      "who are in it; leave the path out for a new one",
  );
}

function requireLinux(linux: Linux): void {
  requireMountNamespace(linux.namespaces ?? []);
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
