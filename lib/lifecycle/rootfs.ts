import {
  AT_FDCWD,
  AT_REMOVEDIR,
  close,
  ENOENT,
  O_DIRECTORY,
  O_PATH,
  open,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type { IdMaps } from "../spec/mod.ts";
import { isAlive } from "./process_id.ts";
import type { ContainerRecord, ContainerState } from "./state.ts";

/** The directories that a container's overlay is made of. */
export interface OverlayDirectories {
  /** The uppermost first. */
  readonly lowers: readonly string[];
  /** What the container has written; undefined: it is in a tmpfs that only the container has. */
  readonly upper?: string;
}

/** The overlay that is a container's root; undefined for a root that is a plain directory. */
export function overlayOf({ spec }: ContainerRecord): OverlayDirectories | undefined {
  const mount = spec.mounts?.find(({ destination, type }) =>
    destination === "/" && type === "overlay"
  );
  if (mount === undefined) return undefined;
  const value = (name: string) =>
    mount.options?.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
  const upper = value("upperdir");
  const lowers = value("lowerdir")?.split(":") ?? [];
  return { lowers, ...upper !== undefined && { upper } };
}

/** A container's root filesystem. */
export interface OpenedRootfs {
  /** The caller's to close. */
  readonly fd: number;
  /** By which maps its files have the host's ids: a running container's own user namespace. */
  readonly ids?: IdMaps;
}

/**
 * Opens a container's root filesystem, as a running one sees it, or as a stopped one has left it.
 *
 * @param openMerged opens layers laid over each other, the uppermost first.
 * @returns what is open. What is mounted in a running one is in its view.
 * @throws {CrateError} `STATE` when what the container wrote is gone with it.
 */
export function openRootfs(
  { record, process, status }: ContainerState,
  openMerged: (layers: readonly string[]) => number,
): OpenedRootfs {
  const { id, spec } = record;
  if (status === "running" && process !== undefined) {
    const fd = open(`/proc/${process.init.pid}/root`, O_PATH | O_DIRECTORY);
    // Opened first, checked then: the pid was nobody else's.
    if (isAlive(process.init)) {
      const { uidMappings: uids, gidMappings: gids } = spec.linux ?? {};
      return uids === undefined || gids === undefined ? { fd } : { fd, ids: { uids, gids } };
    }
    close(fd);
  }
  const overlay = overlayOf(record);
  try {
    if (overlay === undefined) return { fd: open(spec.root?.path ?? "/", O_PATH | O_DIRECTORY) };
    if (overlay.upper !== undefined) return { fd: openMerged([overlay.upper, ...overlay.lowers]) };
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError(
      "FAILED",
      `the root filesystem of container "${id}" cannot be opened: ${cause.message}`,
      { cause },
    );
  }
  throw goneRootfs(id);
}

/** The refusal of a root filesystem that was in memory. */
export function goneRootfs(id: string): CrateError {
  return new CrateError(
    "STATE",
    `what container "${id}" wrote was in memory, and is gone since it has ended (--keep keeps it)`,
  );
}

/**
 * An overlay that was mounted as `volatile` leaves a mark that it may not be mounted again: after a crash of the
 * machine it might not be whole. This one's state would not have outlived that crash.
 *
 * @see https://docs.kernel.org/filesystems/overlayfs.html, "Volatile mount"
 */
export function allowMount({ spec }: ContainerRecord): void {
  const root = spec.mounts?.find(({ destination, type }) =>
    destination === "/" && type === "overlay"
  );
  const option = root?.options?.find((each) => each.startsWith("workdir="));
  if (option === undefined || !root!.options!.includes("volatile")) return;
  const incompatible = `${option.slice("workdir=".length)}/work/incompat`;
  const volatile = `${incompatible}/volatile`;
  const marks = [[`${volatile}/dirty`, 0], [volatile, AT_REMOVEDIR], [
    incompatible,
    AT_REMOVEDIR,
  ]] as const;
  for (const [path, flags] of marks) {
    const result = trySyscall("unlinkat", AT_FDCWD, path, flags);
    if (result < 0 && result !== -ENOENT) throw new SyscallError("unlinkat", -result, path);
  }
}
