import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  CLONE_NEWNS,
  close,
  FSCONFIG_CMD_CREATE,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MNT_DETACH,
  mount_attr,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_SIZE_VER0,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_PRIVATE,
  MS_REC,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  open,
  open_how,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  S_IFDIR,
  S_IFMT,
  STATX_BASIC_STATS,
  statx_layout,
  syscall,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type { Mount } from "../spec/mod.ts";
import { lockContainer } from "./claim.ts";
import { existing } from "./kill.ts";
import { isAlive } from "./process_id.ts";
import { isBind, isIdmapped } from "./program/mod.ts";
import { allowMount, goneRootfs, overlayOf } from "./rootfs.ts";
import { type ContainerRecord, type ContainerState, isLive, mountPoint } from "./state.ts";
import { waitForMonitor } from "./stop.ts";

/** A container's files as a path in the container names them. */
export interface RootView extends Disposable {
  /** Its root, with what is mounted there: `O_PATH`. */
  readonly fd: number;
  /** Whether its files have the ids that the container's are on the host; else they have the container's. */
  readonly hasHostIds: boolean;
  /** Why what a descriptor leads to is not what the container had there, as the end of a sentence. */
  readonly missing: (fd: number) => string | undefined;
}

/** How the layers of a stopped container are laid over each other: `lib/overlay`'s. */
export interface Overlays {
  readonly openMerged: (layers: readonly string[]) => number;
  readonly openWritable: (
    layers: readonly string[],
    written: {
      readonly upper: string;
      readonly work: string;
      readonly options: readonly string[];
    },
  ) => number;
}

/**
 * Opens a container's root filesystem with all that is mounted in it.
 *
 * A running one's is seen through `/proc/PID/root`: the descriptor belongs to the container's mount namespace, and what
 * the kernel looks up below it goes over the container's mounts, while nothing of this process is ever in there: no library of
 * the container's is loaded (CVE-2019-14271), and no process of the container's sees this one.
 *
 * What a stopped one had mounted is mounted once more, in a mount namespace of this thread's own: whatever ends the process
 * ends that. Who writes, or has to mount it as if, holds the container's lock, so that nobody starts it meanwhile.
 *
 * @throws {CrateError} `NOT_FOUND`; `STATE` when what it wrote is gone with it, or when it is being made or changed.
 */
export async function openRootView(
  root: string,
  id: string,
  overlays: Overlays,
  { writable }: { readonly writable: boolean },
): Promise<RootView> {
  const before = existing(root, id);
  const running = liveView(before);
  if (running !== undefined) return running;
  using stack = new DisposableStack();
  if (writable || isWithin(before.record)) stack.use(await lockContainer(root, id));
  // Started meanwhile.
  const state = existing(root, id);
  const live = liveView(state);
  if (live !== undefined) return live;
  const { record } = state;
  if (state.status === "creating") {
    throw new CrateError("STATE", `container "${id}" is being made by another crate right now`);
  }
  // Until then its last processes may hold its own mount of the same directories.
  if (writable) await waitForMonitor(state.process?.monitor);
  try {
    const { fd, missing } = mountView(record, mountPoint(root), overlays, writable, stack);
    const owned = stack.move();
    // On disk an id-mapped root is as that of a container without a user namespace.
    const hasHostIds = !record.spec.mounts?.some((mount) =>
      mount.destination === "/" && isIdmapped(mount)
    );
    return { fd, hasHostIds, missing, [Symbol.dispose]: () => owned.dispose() };
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError(
      "FAILED",
      `the root filesystem of container "${id}" cannot be opened: ${cause.message}`,
      { cause },
    );
  }
}

/** Whether what a container writes is kept below what it writes over: the kernel takes these as layers no other way. */
export function isWithin(record: ContainerRecord): boolean {
  const { upper, lowers } = overlayOf(record) ?? { lowers: [] };
  return lowers.some((lower) => upper?.startsWith(lower.endsWith("/") ? lower : `${lower}/`));
}

function liveView({ status, process }: ContainerState): RootView | undefined {
  if (!isLive(status) || process === undefined) return undefined;
  let fd: number;
  try {
    fd = open(`/proc/${process.init.pid}/root`, O_PATH | O_DIRECTORY);
  } catch (error) {
    if (isAlive(process.init)) throw error;
    return undefined;
  }
  // Opened first, checked then: the pid was nobody else's.
  if (isAlive(process.init)) {
    const missing = () => undefined;
    return { fd, hasHostIds: true, missing, [Symbol.dispose]: () => close(fd) };
  }
  close(fd);
  return undefined;
}

/** Mounts a stopped container's root and what belongs in it, in a namespace of this thread's own. */
function mountView(
  record: ContainerRecord,
  at: string,
  overlays: Overlays,
  writable: boolean,
  stack: DisposableStack,
): { fd: number; missing: RootView["missing"] } {
  const { spec, id } = record;
  const overlay = overlayOf(record);
  if (overlay !== undefined && overlay.upper === undefined) throw goneRootfs(id);
  // Of the thread alone: unshare(2) refuses no program with several for this.
  syscall("unshare", CLONE_NEWNS);
  syscall("mount", null, "/", null, MS_REC | MS_PRIVATE, null);
  const fd = stack.adopt(openBase(record, overlays, writable), close);
  attach(fd, AT_FDCWD, at);
  // Before the lock is given back: an upper directory is one mount's at a time.
  stack.defer(() => trySyscall("umount2", at, MNT_DETACH));
  if (!writable || spec.root?.readonly) setReadOnly(fd);
  const gone = new Map<string, string>();
  for (const mount of spec.mounts ?? []) {
    if (mount.destination !== "/") addMount(fd, mount, gone);
  }
  return {
    fd,
    missing(found) {
      const { device, file } = identity(found);
      return gone.get(device) ?? gone.get(file);
    },
  };
}

function openBase(record: ContainerRecord, overlays: Overlays, writable: boolean): number {
  const overlay = overlayOf(record);
  if (overlay === undefined) return openTree(record.spec.root?.path ?? "/");
  const { lowers, upper = "" } = overlay;
  if (!writable && !isWithin(record)) return overlays.openMerged([upper, ...lowers]);
  allowMount(record);
  const options = record.spec.mounts!.find(({ destination, type }) =>
    destination === "/" && type === "overlay"
  )!.options!;
  const named = (name: string) =>
    options.find((option) => option.startsWith(`${name}=`))!.slice(name.length + 1);
  return overlays.openWritable(lowers, {
    upper,
    work: named("workdir"),
    options: options.filter((option) => !/^((lower|upper|work)dir=|r?idmap\b)/.test(option)),
  });
}

/** A copy of a mount, attached nowhere, that begins at a path. */
function openTree(path: string): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
  return syscall("open_tree", AT_FDCWD, path, flags);
}

function attach(mount: number, directory: number, path: string): void {
  const to = path === "" ? MOVE_MOUNT_T_EMPTY_PATH : 0;
  syscall("move_mount", mount, "", directory, path, MOVE_MOUNT_F_EMPTY_PATH | to);
}

function setReadOnly(mount: number): void {
  const attributes = mount_attr.pack({ attr_set: MOUNT_ATTR_RDONLY });
  syscall(
    "mount_setattr",
    mount,
    "",
    AT_EMPTY_PATH | AT_RECURSIVE,
    attributes,
    MOUNT_ATTR_SIZE_VER0,
  );
}

/** Adds one of a container's mounts to the view; where its content is gone, a note of that. */
function addMount(root: number, mount: Mount, gone: Map<string, string>): void {
  const { destination, source, options = [] } = mount;
  const isMemory = mount.type === "tmpfs";
  if (!isMemory && !isBind(mount)) return;
  const how = open_how.pack({
    flags: O_PATH | O_CLOEXEC,
    resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
  });
  const target = trySyscall("openat2", root, destination, how, how.length);
  // What the container's start made is not there any more, and so nothing is below it.
  if (target < 0) return;
  try {
    if (isMemory) {
      return hide(target, gone, `was in memory, at ${destination}, and is gone with the container`);
    }
    if (isIdmapped(mount)) {
      return hide(
        target,
        gone,
        `is id-mapped, at ${destination}, and seen while the container runs`,
      );
    }
    let tree: number;
    try {
      tree = openTree(source ?? "");
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      return hide(target, gone, `was mounted at ${destination} of ${source}, which is gone`);
    }
    try {
      if (isDirectory(tree) !== isDirectory(target)) {
        return hide(target, gone, `was mounted at ${destination} of ${source}, which has changed`);
      }
      if (options.includes("ro") || options.includes("rro")) setReadOnly(tree);
      attach(tree, target, "");
    } finally {
      close(tree);
    }
  } finally {
    close(target);
  }
}

/** Covers a directory with an empty one that is known again; a file is known by itself. */
function hide(target: number, gone: Map<string, string>, why: string): void {
  if (!isDirectory(target)) {
    gone.set(identity(target).file, why);
    return;
  }
  const context = syscall("fsopen", "tmpfs", FSOPEN_CLOEXEC);
  try {
    syscall("fsconfig", context, FSCONFIG_CMD_CREATE, null, null, 0);
    const cover = syscall("fsmount", context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
    try {
      attach(cover, target, "");
      gone.set(identity(cover).device, why);
    } finally {
      close(cover);
    }
  } finally {
    close(context);
  }
}

function isDirectory(fd: number): boolean {
  return identity(fd).type === S_IFDIR;
}

/** struct statx: stx_dev_major at 136, stx_dev_minor at 140. */
function identity(fd: number): { type: number; device: string; file: string } {
  const bytes = new Uint8Array(256);
  syscall("statx", fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, bytes);
  const view = new DataView(bytes.buffer);
  const device = `${view.getUint32(136, true)}:${view.getUint32(140, true)}`;
  return {
    type: statx_layout.get(bytes, "stx_mode") & S_IFMT,
    device,
    file: `${device}:${statx_layout.get(bytes, "stx_ino")}`,
  };
}
