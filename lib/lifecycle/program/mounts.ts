import {
  type Argument,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  AT_SYMLINK_NOFOLLOW,
  type Cell,
  FSCONFIG_CMD_RECONFIGURE,
  FSPICK_CLOEXEC,
  FSPICK_EMPTY_PATH,
  mount_attr,
  MOUNT_ATTR_IDMAP,
  MS_SLAVE,
  O_DIRECTORY,
  O_PATH,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Mount } from "../../spec/mod.ts";
import { copiedLink, copySymlink } from "./copy_symlink.ts";
import type { CompileInput } from "./input.ts";
import { labelQueues, withContext } from "./labels.ts";
import { type Attributes, type MountOptions, sortOptions } from "./mount_options.ts";
import { isNew } from "./namespaces.ts";
import { awaitCopy } from "./release.ts";
import { attach, below, openBelow, openOrMake, type PointKind, type Scope } from "./scope.ts";
import { cloneTree, configure, makeFilesystem, setAttributes } from "./filesystem.ts";
import { MAP_IDS } from "./protocol.ts";

/** The recursive attributes and the propagation that a mount's options ask for. */
function finish(s: Scope, mount: Argument, options: MountOptions, label: string): void {
  setAttributes(s, mount, options.recursive, 0, true, label);
  const { propagation } = options;
  if (propagation) {
    setAttributes(s, mount, NOTHING, propagation.type, propagation.recursive, label);
  }
}

const NOTHING: Attributes = { set: 0, clear: 0 };

/** Whether it mounts nothing, and changes a mount that there is. */
export function isRemount({ options }: Mount): boolean {
  return options?.includes("remount") ?? false;
}

/** Whether an OCI mount is a bind mount: by type or by option. */
export function isBind(mount: Mount): boolean {
  if (isRemount(mount)) return false;
  return mount.type === "bind" || mount.type === "rbind" ||
    (mount.options ?? []).some((option) => option === "bind" || option === "rbind");
}

/** Whether what is mounted below a mount later, there or on the host, is seen by the other. */
export function isShared({ options = [] }: Mount): boolean {
  return options.includes("shared") || options.includes("rshared");
}

/** Whether a mount shows its files with other owners. mount_setattr(2), "ID-mapped mounts" */
export function isIdmapped({ options = [], uidMappings, gidMappings }: Mount): boolean {
  return options.some((option) => /^r?idmap(?:=|$)/.test(option)) ||
    uidMappings !== undefined && uidMappings.length > 0 ||
    gidMappings !== undefined && gidMappings.length > 0;
}

/**
 * Clones a bind mount's source, before anything of the container is in the way of its path.
 *
 * @param idmap the descriptor of a user namespace that has the ids of the mount's files.
 */
export function openBind(s: Scope, mount: Mount, idmap: number | undefined): Cell {
  const tree = cloneBind(s, mount);
  if (idmap !== undefined) {
    const isRecursive = mount.options?.some((option) => /^ridmap(?:=|$)/.test(option));
    const what = `${mount.source} on ${mount.destination}`;
    mapIds(s, tree, idmap, isRecursive ? AT_RECURSIVE : 0, what);
  }
  return tree;
}

/** Has a detached mount show its files with other owners. @param what of which mount it is told when it fails. */
export function mapIds(s: Scope, tree: Cell, idmap: number, recursive: number, what: string): void {
  const attr = s.p.struct(mount_attr, { attr_set: MOUNT_ATTR_IDMAP, userns_fd: idmap });
  const args = [valueOf(tree), s.p.string(""), AT_EMPTY_PATH | recursive, attr, mount_attr.size];
  s.p.call("mount_setattr", args, { label: `${MAP_IDS}${what}` });
}

function cloneBind(s: Scope, mount: Mount): Cell {
  const { bind, nofollow } = sortOptions(mount.options ?? []);
  const recursive = bind?.recursive ?? mount.type === "rbind";
  const label = `mount ${mount.source} on ${mount.destination}`;
  const own = nofollow.source ? AT_SYMLINK_NOFOLLOW : 0;
  return cloneTree(s, AT_FDCWD, mount.source!, recursive, label, own);
}

/** What is mounted later below a cloned tree on one side is not seen on the other. */
export function leaveHost(s: Scope, tree: Cell, label: string): void {
  setAttributes(s, valueOf(tree), NOTHING, MS_SLAVE, true, label);
}

/** What a mount made that a later step wants. */
export interface Mounted {
  /** The procfs that was mounted on /proc, if any. */
  proc?: Cell;
}

/**
 * The steps of one mount of the config: made detached, attached by descriptor.
 *
 * @param bound the clone of a bind mount's source.
 */
export function mountOne(
  s: Scope,
  input: Pick<CompileInput, "facts" | "spec">,
  root: Cell,
  mount: Mount,
  bound: Cell | undefined,
): Mounted {
  const { destination } = mount;
  const options = sortOptions(mount.options ?? []);
  if (options.remount) {
    remount(s, root, mount, options);
    return {};
  }
  const link = copiedLink(input.facts, mount);
  if (link !== undefined) {
    copySymlink(s, root, destination, link);
    return {};
  }
  if (bound !== undefined) {
    const label = `mount ${mount.source} on ${destination}`;
    const kind: PointKind = input.facts.sourceKinds.get(mount.source!) ?? "directory";
    setAttributes(s, valueOf(bound), options.attributes, 0, false, label);
    finish(s, valueOf(bound), options, label);
    const noFollow = options.nofollow.destination;
    const point = openOrMake(s, root, destination, kind, { noFollow });
    attach(s, valueOf(bound), valueOf(point), label);
    return {};
  }
  const type = mount.type ?? "none";
  if (type === "cgroup" || type === "cgroup2") {
    mountCgroup(s, input, root, mount, options);
    return {};
  }
  const label = `mount ${type} on ${destination}`;
  const made = makeFilesystem(
    s,
    type,
    mount.source ?? type,
    withContext(type, options.data, input.spec),
    options.attributes.set,
    label,
  );
  finish(s, valueOf(made), options, label);
  const { mountLabel } = input.spec.linux ?? {};
  if (type === "mqueue" && mountLabel) labelQueues(s, valueOf(made), mountLabel, label);
  // The image must not lead proc and sys elsewhere by a link (CVE-2019-16884).
  const noSymlinks = type === "proc" || type === "sysfs";
  const point = openOrMake(s, root, destination, "directory", { noSymlinks });
  if (options.copiesUp) awaitCopy(s, point, made, `copy ${destination} into its tmpfs`);
  attach(s, valueOf(made), valueOf(point), label);
  return type === "proc" ? { proc: made } : {};
}

/**
 * `remount`: changes what is mounted on the destination already. What the options name changes, for this mount;
 * the filesystem's own options are the filesystem's. What they do not name stays. mount(8)
 */
function remount(s: Scope, root: Cell, mount: Mount, options: MountOptions): void {
  const { p } = s;
  const label = `remount ${mount.destination}`;
  const fd = s.descriptor("remounted");
  openBelow(s, valueOf(root), below(mount.destination), O_PATH, { label, result: fd });
  if (options.data.length > 0) {
    const context = s.descriptor("remount context");
    p.call("fspick", [valueOf(fd), p.string(""), FSPICK_CLOEXEC | FSPICK_EMPTY_PATH], {
      label,
      result: context,
    });
    for (const [key, value] of options.data) configure(s, context, key, value, label);
    p.call("fsconfig", [valueOf(context), FSCONFIG_CMD_RECONFIGURE, 0, 0, 0], { label });
    p.call("close", [valueOf(context)]);
  }
  setAttributes(s, valueOf(fd), options.attributes, 0, false, label);
  finish(s, valueOf(fd), options, label);
}

/** Without a cgroup namespace a hierarchy of v1 would be shown whole. */
function bindGroup(s: Scope, path: string, attributes: Attributes, label: string): Cell {
  const tree = cloneTree(s, AT_FDCWD, path, false, label);
  setAttributes(s, valueOf(tree), attributes, 0, false, label);
  return tree;
}

/**
 * The container's own groups: the one hierarchy of cgroup v2, or a tmpfs with one directory for each
 * hierarchy of v1. config-linux.md: type "cgroup" is whichever the host has.
 */
function mountCgroup(
  s: Scope,
  { facts, spec }: Pick<CompileInput, "facts" | "spec">,
  root: Cell,
  { destination }: Mount,
  options: MountOptions,
): void {
  const { p } = s;
  const { set } = options.attributes;
  const point = openOrMake(s, root, destination, "directory");
  if (facts.cgroupHierarchies.length === 0) {
    const label = `mount cgroup2 on ${destination}`;
    const made = makeFilesystem(s, "cgroup2", "cgroup", options.data, set, label);
    attach(s, valueOf(made), valueOf(point), label);
    finish(s, valueOf(made), options, label);
    return;
  }
  const label = `mount cgroups on ${destination}`;
  const top = makeFilesystem(
    s,
    "tmpfs",
    "tmpfs",
    withContext("tmpfs", [["mode", "755"]], spec),
    set & ~1,
    label,
  );
  attach(s, valueOf(top), valueOf(point), label);
  for (const { name, type, options: data, group } of facts.cgroupHierarchies) {
    const what = `mount cgroup ${name} on ${destination}/${name}`;
    p.call("mkdirat", [valueOf(top), p.string(name), 0o755], { label: what });
    const made = isNew(spec, "cgroup")
      ? makeFilesystem(s, type, "cgroup", data, set, what)
      : bindGroup(s, group, options.attributes, what);
    const at = s.descriptor(`${destination}/${name}`);
    openBelow(s, valueOf(top), name, O_PATH | O_DIRECTORY, { label: what, result: at });
    attach(s, valueOf(made), valueOf(at), what);
  }
  // Read-only only now that its directories are made.
  setAttributes(s, valueOf(top), { set: set & 1, clear: 0 }, 0, false, label);
  finish(s, valueOf(top), options, label);
}
