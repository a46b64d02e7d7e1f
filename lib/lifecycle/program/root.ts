import {
  AT_FDCWD,
  type Cell,
  MNT_DETACH,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MS_REC,
  MS_SLAVE,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Mount, Spec } from "../../spec/mod.ts";
import type { CompileInput, HostPart } from "./input.ts";
import { withContext } from "./labels.ts";
import { type MountOptions, propagationFlag, sortOptions } from "./mount_options.ts";
import { below, type Scope } from "./scope.ts";
import { cloneTree, makeFilesystem, setAttributes } from "./filesystem.ts";
import { isNew } from "./namespaces.ts";
import { isBind, isIdmapped, isRemount, openBind } from "./mounts.ts";
import { mountOverlay, overlayWay } from "./overlay.ts";

type Data = MountOptions["data"];

/** The mount of a config that is the root filesystem itself, in place of `root.path`. */
export function rootMount(mounts: readonly Mount[]): Mount | undefined {
  return mounts.find((mount) => below(mount.destination) === "." && !isRemount(mount));
}

/** Whether the root is an overlay whose layers can only be given one by one. */
export function needsLayers(mounts: readonly Mount[]): boolean {
  const mount = rootMount(mounts);
  // One short option is the usual case, and needs no look.
  if (mount?.type !== "overlay" || mount.options?.every((option) => option.length < 256)) {
    return false;
  }
  return overlayWay(sortOptions(mount.options ?? []).data) === "layers";
}

/** Nothing that happens in the container's mount namespace reaches the host. mount_namespaces(7) */
export function isolateMounts(s: Scope, input: Pick<CompileInput, "spec">): void {
  const asked = input.spec.linux?.rootfsPropagation;
  // Shared is for the container's own root, later; the old tree must never be shared with the host.
  const flag = asked === "private" || asked === "rprivate" ? propagationFlag("rprivate")! : 0;
  s.p.call("mount", [0, s.p.string("/"), 0, flag || MS_SLAVE | MS_REC, 0], {
    label: "make the host's mounts private to the container",
  });
}

/** The root, if it is an overlay whose layers are shown with other ids: that is made before the container is. */
export function mappedOverlay({ mounts = [] }: Spec): Mount | undefined {
  const mount = rootMount(mounts);
  return mount?.type === "overlay" && isIdmapped(mount) ? mount : undefined;
}

/** Clones the directory that is to be the root. */
export function openRoot(s: Scope, { root }: Spec): Cell {
  const { path } = root!;
  return cloneTree(s, AT_FDCWD, path, true, `mount ${path} as the root`);
}

type AttachInput = Pick<CompileInput, "spec" | "facts" | "attachPoint" | "noPivot" | "idmaps">;

/**
 * Attaches the container's root filesystem: a directory, or an overlay.
 *
 * An overlay without an `upperdir` gets one on a tmpfs that exists in the container's mount namespace
 * alone: whatever way the container ends, nothing of it is left.
 *
 * @param opened a clone of it, when it was opened before.
 * @param place where to attach it, given the path at which hooks look for it.
 * @returns the register of the root's descriptor.
 */
export function attachRoot(
  s: Scope,
  input: AttachInput,
  opened: Cell | undefined,
  place: (path: string) => string,
): Cell {
  const { spec, attachPoint } = input;
  const mount = rootMount(spec.mounts ?? []);
  if (mount === undefined || isBind(mount)) {
    const path = mount?.source ?? spec.root!.path;
    const root = opened ??
      (mount === undefined ? openRoot(s, spec) : openBind(s, mount, input.idmaps?.get(mount)));
    attachAt(s, root, place(path), `mount ${path} as the root`);
    return root;
  }
  const label = `mount ${mount.type} as the root`;
  if (opened !== undefined) {
    attachAt(s, opened, place(attachPoint), label);
    return opened;
  }
  const { p } = s;
  const options = sortOptions(mount.options ?? []);
  const data = [...withContext(mount.type ?? "none", options.data, spec)];
  let at = attachPoint;
  if (mount.type === "overlay" && !data.some(([key]) => key === "upperdir")) {
    const own = "mount tmpfs for the root's changes";
    const scratch = makeFilesystem(
      s,
      "tmpfs",
      "tmpfs",
      withContext("tmpfs", [["mode", "755"]], spec),
      0,
      own,
    );
    attachAt(s, scratch, attachPoint, own);
    for (const name of ["upper", "work", "root"]) {
      p.call("mkdirat", [valueOf(scratch), p.string(name), 0o755], { label: own });
    }
    data.push(["upperdir", `${attachPoint}/upper`], ["workdir", `${attachPoint}/work`]);
    at = `${attachPoint}/root`;
  }
  const { type = "none", source = "" } = mount;
  const attributes = options.attributes.set;
  const { hostParts } = input.facts;
  if (hostParts !== undefined) return viewHost(s, attachPoint, hostParts);
  if (type === "overlay") {
    const made = mountOverlay(s, input.facts, { at, source, data, attributes, label });
    if (!made.attached) attachAt(s, made.root, at, label);
    return made.root;
  }
  const root = makeFilesystem(s, type, source, data, attributes, label);
  attachAt(s, root, at, label);
  return root;
}

/** A view of the host's root in parts: an overlay for each directory, all on one tmpfs of the container's. */
function viewHost(s: Scope, attachPoint: string, parts: readonly HostPart[]): Cell {
  const { p } = s;
  const path = `${attachPoint}/root`;
  const label = "make the view of the host's root";
  const root = cloneTree(s, AT_FDCWD, path, false, label);
  attachAt(s, root, path, label);
  const make = (name: string) => p.call("mkdirat", [AT_FDCWD, p.string(name), 0o755], { label });
  for (const { name, kind, target } of parts) {
    const at = `${path}/${name}`;
    if (kind === "link") {
      p.call("symlinkat", [p.string(target!), AT_FDCWD, p.string(at)], { label });
      continue;
    }
    make(at);
    if (kind === "empty") continue;
    const part = `view /${name}`;
    if (kind === "readonly") {
      const tree = cloneTree(s, AT_FDCWD, `/${name}`, true, part);
      setAttributes(s, valueOf(tree), { set: MOUNT_ATTR_RDONLY, clear: 0 }, 0, true, part);
      attachAt(s, tree, at, part);
      continue;
    }
    const [upper, work] = [`${attachPoint}/upper/${name}`, `${attachPoint}/work/${name}`];
    make(upper);
    make(work);
    const data: Data = [["lowerdir", `/${name}`], ["upperdir", upper], ["workdir", work], [
      "userxattr",
    ]];
    attachAt(s, makeFilesystem(s, "overlay", "overlay", data, 0, part), at, part);
  }
  return root;
}

/**
 * Where a root is attached until {@linkcode enterRoot} makes it the root. The root of a user namespace may not be let
 * into the directory that crate has for this, nor into those above it, and needs no way to where it is already. There
 * must be nothing else: what is on top there is what that unmounts.
 */
export function initPoint({ spec, attachPoint, noPivot }: AttachInput): string {
  return isNew(spec, "user") && !noPivot ? "/" : attachPoint;
}

/** Attaches a detached mount to a path. move_mount(2) */
export function attachAt(s: Scope, mount: Cell, path: string, label: string): void {
  const { p } = s;
  const args = [valueOf(mount), p.string(""), AT_FDCWD, p.string(path), MOVE_MOUNT_F_EMPTY_PATH];
  p.call("move_mount", args, { label });
}

/** `root.readonly`, once all mount points have been made. */
export function sealRoot(s: Scope, input: Pick<CompileInput, "spec">, root: Cell): void {
  if (!input.spec.root?.readonly) return;
  setAttributes(s, valueOf(root), { set: 1, clear: 0 }, 0, false, "make the root read-only");
}

/** Makes the attached root this process's root, and lets go of the host's tree. pivot_root(2) */
export function enterRoot(s: Scope, input: CompileInput, root: Cell): void {
  const { p } = s;
  p.call("fchdir", [valueOf(root)], { label: "enter the root" });
  if (input.noPivot) {
    const label = "move the root to /";
    attachAt(s, root, "/", label);
    p.call("chroot", [p.string(".")], { label });
  } else {
    // Old and new root on one directory; the old one lies on top and is what "." unmounts.
    p.call("pivot_root", [p.string("."), p.string(".")], { label: "pivot_root" });
    p.call("umount2", [p.string("."), MNT_DETACH], { label: "leave the host's tree" });
  }
  p.call("chdir", [p.string("/")], { label: "enter the root" });
  const asked = input.spec.linux?.rootfsPropagation;
  const flag = asked === undefined ? 0 : propagationFlag(asked)!;
  if (flag !== 0) {
    setAttributes(
      s,
      valueOf(root),
      { set: 0, clear: 0 },
      flag & ~MS_REC,
      (flag & MS_REC) !== 0,
      `rootfsPropagation ${asked}`,
    );
  }
}
