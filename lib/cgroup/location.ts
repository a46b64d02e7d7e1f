import { CrateError } from "../errors.ts";
import { readText } from "../../ffi/mod.ts";
import type { ReadFile } from "./controller.ts";
import type { CgroupLayout } from "./layout.ts";

/** Where one container's groups are: one directory in each hierarchy. */
export interface CgroupLocation {
  /** The group's path below each hierarchy's mount point, `/crate/web`. */
  readonly path: string;
  /** The directory by v1 controller. */
  readonly v1: ReadonlyMap<string, string>;
  /** The directory in the v2 hierarchy. */
  readonly v2?: string;
  /** All of these, each once. */
  readonly directories: readonly string[];
}

/**
 * Where a container's groups are, whether they exist or not.
 *
 * A `cgroupsPath` is taken below the mount point of each hierarchy, a relative one too: the
 * runtime-spec leaves that one's place to the runtime.
 *
 * @throws {CrateError} `INVALID` for a path that names no group or has `..` in it.
 * @see https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#cgroups-path
 *
 * @example
 * ```ts
 * import { locateCgroup } from "./location.ts";
 * const layout = { v1: new Map(), v2: { mount: "/sys/fs/cgroup", controllers: ["pids"] } };
 * const { v2 } = locateCgroup(layout, "/crate/web");
 * if (v2 !== "/sys/fs/cgroup/crate/web") throw new Error();
 * ```
 */
export function locateCgroup(layout: CgroupLayout, cgroupsPath: string): CgroupLocation {
  const path = normalise(cgroupsPath);
  const v1 = new Map<string, string>();
  for (const [controller, mount] of layout.v1) v1.set(controller, mount + path);
  const v2 = layout.v2 && layout.v2.mount + path;
  const directories = new Set(v1.values());
  if (v2 !== undefined) directories.add(v2);
  return { path, v1, v2, directories: [...directories] };
}

function normalise(cgroupsPath: string): string {
  const names = cgroupsPath.split("/").filter((name) => name !== "" && name !== ".");
  if (names.length === 0 || names.includes("..")) {
    const wrong = names.length === 0 ? "must name a group" : 'must not contain ".."';
    throw new CrateError(
      "INVALID",
      `linux.cgroupsPath ${wrong}, such as "/crate/web", got ${JSON.stringify(cgroupsPath)}`,
    );
  }
  return `/${names.join("/")}`;
}

/** How a process gets into a container's groups. */
export interface CgroupJoin {
  /** Files of v1 groups into which the process writes `0`, one thread strong. */
  readonly join: readonly string[];
  /** The v2 group to be born in: a descriptor of it goes to clone3(2) with `CLONE_INTO_CGROUP`. */
  readonly joinDirectory?: string;
}

/**
 * How a process joins a container's groups.
 *
 * By `tasks` and `CLONE_INTO_CGROUP`, because a write to `cgroup.procs` waits for every processor to
 * pass a quiescent state, some 9 ms on an idle host, and these two do not.
 *
 * @param init the container's init: a process that comes later (`exec`) joins init's own v2 group,
 * which an init such as systemd has made below the container's, where v2 allows no processes then.
 */
export function joinFiles(location: CgroupLocation, init?: number): CgroupJoin {
  const join = [...new Set(location.v1.values())].map((directory) => `${directory}/tasks`);
  if (location.v2 === undefined || init === undefined) {
    return { join, joinDirectory: location.v2 };
  }
  // `0::/crate/web/init.scope`, as seen from here; below ours it is the container's own.
  const own = readText(`/proc/${init}/cgroup`).match(/^0::(.*)$/m)?.[1] ?? "";
  const at = `${own}/`.indexOf(`${location.path}/`);
  const below = at < 0 ? "" : own.slice(at + location.path.length);
  return { join, joinDirectory: location.v2 + below };
}

/** Reads a group's files by their names: each from the hierarchy that has its controller. */
export function readerOf(location: CgroupLocation): ReadFile {
  return (file) => {
    const controller = file.slice(0, file.indexOf("."));
    const directory = location.v1.get(controller) ?? location.v2;
    if (directory === undefined) return undefined;
    try {
      return readText(`${directory}/${file}`);
    } catch {
      // Not in this kernel, not enabled for this group, or the group is gone: there is no number.
      return undefined;
    }
  };
}
