import {
  AT_FDCWD,
  type Cell,
  CLONE_NEWNS,
  MS_PRIVATE,
  MS_REC,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  PR_SET_DUMPABLE,
  PR_SET_SECUREBITS,
  SECBIT_NO_SETUID_FIXUP,
  valueOf,
} from "../../../ffi/mod.ts";
import type { LinuxIDMapping, Mount, Spec } from "../../spec/mod.ts";
import { cloneTree, makeFilesystem, setAttributes } from "./filesystem.ts";
import { withContext } from "./labels.ts";
import { type MountOptions, sortOptions } from "./mount_options.ts";
import { mapIds } from "./mounts.ts";
import { MAPPED_LAYERS } from "./protocol.ts";
import { attachAt } from "./root.ts";
import type { Scope } from "./scope.ts";

// An overlay has no id-mapped mounts, but its layers may be some. They must be attached somewhere for that, and in a
// user namespace nobody may map them: so it is made by the host's root, in a mount namespace that is left again.

/** A string of fsconfig(2), without its NUL. */
const MAX_STRING = 255;

/** The options that name directories. */
const PATHS = ["lowerdir", "upperdir", "workdir"];
type Data = MountOptions["data"];

/** The directory that two paths have in common, and what is below it. */
function common(one: string, other: string): { directory: string; below: [string, string] } {
  const [a, b] = [one.split("/"), other.split("/")];
  let count = 0;
  while (count < Math.min(a.length, b.length) - 1 && a[count] === b[count]) count++;
  return {
    directory: a.slice(0, count).join("/") || "/",
    below: [a.slice(count).join("/"), b.slice(count).join("/")],
  };
}

/** Whom a container's root is on the host. */
interface Owner {
  readonly uid: number;
  readonly gid: number;
}

function rootOf({ linux }: Spec): Owner {
  const id = (maps: readonly LinuxIDMapping[] = []) =>
    maps.find(({ containerID }) => containerID === 0)?.hostID ?? 0;
  return { uid: id(linux?.uidMappings), gid: id(linux?.gidMappings) };
}

/** Where a process was before it went into another mount namespace. */
interface Home {
  readonly namespace: Cell;
  /** Its root directory: whoever joins a mount namespace is at that one's. setns(2) */
  readonly root: Cell;
}

/**
 * Does something as whom the container's root is on the host, with all rights: the kernel makes directories and whiteouts
 * in an overlay's upper directory as whoever has mounted it, and there the ids of the host's root are none.
 */
function actAs(s: Scope, { uid, gid }: Owner, act: () => void): void {
  const { p } = s;
  const label = "become the container's root for its files";
  p.call("prctl", [PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0], { label });
  p.call("setfsgid", [gid], { label });
  p.call("setfsuid", [uid], { label });
  act();
  p.call("setfsuid", [0], { label });
  p.call("setfsgid", [0], { label });
  p.call("prctl", [PR_SET_SECUREBITS, 0, 0, 0, 0], { label });
  // Else what /proc has of this process and of those that it clones would be out of their reach.
  p.call("prctl", [PR_SET_DUMPABLE, 1, 0, 0, 0], { label });
}

/** Goes into a new mount namespace, of which the host sees nothing. */
function leaveHome(s: Scope): Home {
  const { p } = s;
  const label = "make a mount namespace for the layers";
  const home = { namespace: s.descriptor("mount namespace"), root: s.descriptor("host's root") };
  const open = (path: string, flags: number, result: Cell) =>
    p.call("openat", [AT_FDCWD, p.string(path), flags | O_CLOEXEC, 0], { label, result });
  open("/proc/self/ns/mnt", O_RDONLY, home.namespace);
  open("/", O_PATH | O_DIRECTORY, home.root);
  p.call("unshare", [CLONE_NEWNS], { label });
  p.call("mount", [0, p.string("/"), 0, MS_PRIVATE | MS_REC, 0], { label });
  return home;
}

function goHome(s: Scope, { namespace, root }: Home): void {
  const { p } = s;
  const label = "leave the mount namespace for the layers";
  p.call("setns", [valueOf(namespace), CLONE_NEWNS], { label });
  p.call("fchdir", [valueOf(root)], { label });
  p.call("chroot", [p.string(".")], { label });
  for (const fd of [namespace, root]) p.call("close", [valueOf(fd)], { label });
}

/**
 * Makes an overlay whose layers are shown with other ids: what is written to its upper directory is on disk as if
 * there were no user namespace. One without an upper directory gets one on a tmpfs, which is nobody else's and has the
 * host's ids.
 *
 * @param idmap the descriptor of a user namespace that has the ids.
 * @param attachPoint an existing directory.
 * @returns the register of the descriptor of the mount, which is attached nowhere.
 */
export function mountMappedOverlay(
  s: Scope,
  spec: Spec,
  mount: Mount,
  idmap: number,
  attachPoint: string,
): Cell {
  const { p } = s;
  const label = MAPPED_LAYERS;
  const { attributes, data } = sortOptions(mount.options ?? []);
  const value = (name: string) => data.find(([key]) => key === name)?.[1];
  const [upper, work] = [value("upperdir"), value("workdir")];
  const lowers = value("lowerdir")?.split(":") ?? [];
  const own = upper === undefined || work === undefined ? undefined : common(upper, work);
  // By their paths as the host has them: in the other namespace something lies over the attach point.
  const trees = [...lowers, ...own === undefined ? [] : [own.directory]].map((path) => {
    const tree = cloneTree(s, AT_FDCWD, path, false, `mount ${path} for the root`);
    mapIds(s, tree, idmap, 0, `${path} for the root`);
    return tree;
  });
  const home = leaveHome(s);
  const tmpfs = withContext("tmpfs", [["mode", "755"]], spec);
  const scratch = makeFilesystem(s, "tmpfs", "tmpfs", tmpfs, 0, label);
  attachAt(s, scratch, attachPoint, label);
  p.call("chdir", [p.string(attachPoint)], { label });
  const make = (name: string) =>
    p.call("mkdirat", [valueOf(scratch), p.string(name), 0o755], { label });
  trees.forEach((tree, i) => {
    make(`${i}`);
    attachAt(s, tree, `${i}`, label);
    p.call("close", [valueOf(tree)]);
  });
  make("root");
  const others = withContext("overlay", data, spec).filter(([key]) => !PATHS.includes(key));
  const names = lowers.map((_, i) => `${i}`).join(":");
  const dataFor = (upper: string, work: string): Data => [
    ["lowerdir", names],
    ["upperdir", upper],
    ["workdir", work],
    ...others,
  ];
  const owner = rootOf(spec);
  const root = s.descriptor("root mount");
  const mountAll = (data: Data) =>
    p.set(root, valueOf(mountFrom(s, mount.source ?? "overlay", data, attributes.set)));
  if (own === undefined) {
    for (const name of ["upper", "work"]) make(name);
    p.call("fchownat", [valueOf(scratch), p.string("upper"), owner.uid, owner.gid, 0], { label });
    mountAll(dataFor("upper", "work"));
  } else {
    const [upper, work] = own.below.map((path) => `${lowers.length}/${path}`) as [string, string];
    actAs(s, owner, () => mountAll(dataFor(upper, work)));
  }
  p.call("close", [valueOf(scratch)]);
  goHome(s, home);
  return root;
}

/** Mounts an overlay whose layers have names in the working directory. */
function mountFrom(s: Scope, source: string, data: Data, attributes: number): Cell {
  if (data.every(([, value = ""]) => value.length <= MAX_STRING)) {
    return makeFilesystem(s, "overlay", source, data, attributes, MAPPED_LAYERS);
  }
  // More names than one option of fsconfig(2) takes, and fewer than a page.
  const { p } = s;
  const text = data.map(([key, value]) => value === undefined ? key : `${key}=${value}`).join(",");
  const args = [p.string(source), p.string("root"), p.string("overlay"), 0, p.string(text)];
  p.call("mount", args, { label: MAPPED_LAYERS });
  const root = s.descriptor("overlay mount");
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  p.call("open_tree", [AT_FDCWD, p.string("root"), flags], { label: MAPPED_LAYERS, result: root });
  setAttributes(s, valueOf(root), { set: attributes, clear: 0 }, 0, false, MAPPED_LAYERS);
  return root;
}
