import {
  close,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  open,
  open_how,
  readText,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  trySyscall,
} from "../../../ffi/mod.ts";
import { normalize, type Spec } from "../../spec/mod.ts";
import { isBind } from "../program/mod.ts";

// What of a container's mounts is not its own: criu is told where each is (at the dump), and what to mount there
// (at the restore), by a name that is in the images. The names are runc's.

/** One external mount: `ext_mnt` of criu's options. */
export interface ExternalMount {
  readonly key: string;
  readonly val: string;
}

/** All masked files are this one. */
const NULL = "/dev/null";
const MAX_MOUNTINFO = 16 << 20;

/** One line of mountinfo, proc_pid_mountinfo(5). */
export interface MountLine {
  readonly id: number;
  readonly root: string;
  readonly point: string;
  readonly type: string;
}

/** `\040` and the like. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(parseInt(digits, 8)));
}

/**
 * The mounts of a mount namespace by their ids.
 *
 * @example
 * ```ts
 * import { parseMountinfo } from "./mounts.ts";
 * const mounts = parseMountinfo("36 35 98:0 /a /mnt\\0401 rw,noatime master:1 - ext3 /dev/root rw\n");
 * if (mounts.get(36)?.point !== "/mnt 1") throw new Error();
 * ```
 */
export function parseMountinfo(text: string): Map<number, MountLine> {
  const mounts = new Map<number, MountLine>();
  for (const line of text.split("\n")) {
    const [before, after] = line.split(" - ");
    const [id, , , root, point] = before!.split(" ");
    if (point === undefined || after === undefined) continue;
    mounts.set(Number(id), {
      id: Number(id),
      root: unescape(root!),
      point: unescape(point),
      type: after.split(" ")[0]!,
    });
  }
  return mounts;
}

/** The mounts that a process sees. @throws {SyscallError} */
export function mountsOf(pid: number): Map<number, MountLine> {
  return parseMountinfo(readText(`/proc/${pid}/mountinfo`, MAX_MOUNTINFO));
}

/** The id of the mount that an open file is on. */
export function mountIdOf(pid: number | "self", fd: number): number | undefined {
  const id = /^mnt_id:\s*(\d+)$/m.exec(readText(`/proc/${pid}/fdinfo/${fd}`, 4096))?.[1];
  return id === undefined ? undefined : Number(id);
}

/** Looks up what is mounted at paths of a container, which resolves them, links and all, inside its root. */
class Lookup implements Disposable {
  readonly #root: number;
  readonly #mounts: Map<number, MountLine>;

  constructor(pid: number) {
    this.#mounts = mountsOf(pid);
    this.#root = open(`/proc/${pid}/root`, O_PATH | O_DIRECTORY);
  }

  at(path: string): MountLine | undefined {
    const how = open_how.pack({
      flags: O_PATH | O_CLOEXEC,
      resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    });
    const fd = trySyscall("openat2", this.#root, path, how, open_how.size);
    if (fd < 0) return undefined;
    try {
      const id = mountIdOf("self", fd);
      const found = id === undefined ? undefined : this.#mounts.get(id);
      return found?.point === "/" ? undefined : found;
    } finally {
      close(fd);
    }
  }

  [Symbol.dispose](): void {
    close(this.#root);
  }
}

/** The device nodes that may be the host's own, mounted: `linux.devices` and those of every container. */
function devicePaths({ linux }: Spec): string[] {
  const always = ["null", "zero", "full", "random", "urandom", "tty"].map((name) => `/dev/${name}`);
  return [...new Set([...always, ...linux?.devices?.map(({ path }) => path) ?? []])];
}

/**
 * Mounts of the groups. criu would mount cgroup v2 anew, and without options: that takes `nsdelegate` and its like
 * from the host's own mount of it, which is the same filesystem. cgroups(7)
 */
function cgroupMounts({ mounts = [] }: Spec) {
  return mounts.filter(({ type }) => type === "cgroup" || type === "cgroup2");
}

/** For the dump: where in the container each external mount is, and its name. @throws {SyscallError} */
export function mountsToDump(spec: Spec, pid: number): ExternalMount[] {
  using lookup = new Lookup(pid);
  const found = new Map<string, string>();
  for (const mount of spec.mounts ?? []) {
    const path = normalize(mount.destination);
    if (!isBind(mount) || path === "/") continue;
    const at = lookup.at(path);
    if (at !== undefined) found.set(at.point, path);
  }
  for (const { destination } of cgroupMounts(spec)) {
    const path = normalize(destination);
    const at = lookup.at(path);
    if (at?.type === "cgroup2") found.set(at.point, path);
  }
  for (const path of devicePaths(spec)) {
    if (lookup.at(path)?.point === path) found.set(path, path);
  }
  for (const path of spec.linux?.maskedPaths ?? []) {
    const at = lookup.at(path);
    // Directories are masked by a filesystem of the container's own.
    if (at !== undefined && at.type !== "tmpfs") found.set(at.point, NULL);
  }
  return [...found].map(([key, val]) => ({ key, val }));
}

/**
 * For the restore: what each name stands for now.
 *
 * @param cgroup2 the directory of the host that a mount of cgroup v2 shows, where there is nothing else.
 */
export function mountsToRestore(spec: Spec, cgroup2?: string): ExternalMount[] {
  const found = new Map<string, string>();
  for (const path of devicePaths(spec)) found.set(path, path);
  for (const mount of spec.mounts ?? []) {
    const path = normalize(mount.destination);
    if (isBind(mount) && path !== "/") found.set(path, mount.source!);
  }
  if (cgroup2 !== undefined) {
    for (const { destination } of cgroupMounts(spec)) found.set(normalize(destination), cgroup2);
  }
  found.set(NULL, NULL);
  return [...found].map(([key, val]) => ({ key, val }));
}
