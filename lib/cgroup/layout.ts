import { readText } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";

/** Where the host has its cgroup hierarchies. */
export interface CgroupLayout {
  /** The v2 hierarchy and the controllers it has; beside v1 hierarchies it may have none. */
  readonly v2?: { readonly mount: string; readonly controllers: readonly string[] };
  /** The mount point by v1 controller; a hierarchy without one goes by its name, `name=systemd`. */
  readonly v1: ReadonlyMap<string, string>;
}

// What Linux calls v1 controllers; a mount's other options (`xattr`, `clone_children`) are not any.
const V1_CONTROLLERS = new Set(
  ("cpu cpuacct cpuset memory devices freezer blkio pids hugetlb net_cls net_prio perf_event rdma " +
    "misc").split(" "),
);

let detected: CgroupLayout | undefined;

/**
 * The host's cgroup hierarchies, read once per process from `/proc/self/mountinfo`.
 *
 * @throws {CrateError} `UNSUPPORTED` when neither version is mounted.
 *
 * @example
 * ```ts
 * import { detectLayout } from "./layout.ts";
 * const { v2, v1 } = detectLayout();
 * const memory = v1.get("memory") ?? v2?.mount;
 * ```
 */
export function detectLayout(): CgroupLayout {
  return detected ??= parseLayout(
    readText("/proc/self/mountinfo"),
    (mount) => readText(`${mount}/cgroup.controllers`),
  );
}

interface Mount {
  readonly at: string;
  readonly v2: boolean;
  /** The superblock's options, `rw,cpu,cpuacct`. */
  readonly options: string;
}

/**
 * A layout from the text of a mountinfo file, proc_pid_mountinfo(5).
 *
 * @param controllersOf the text of `cgroup.controllers` of the v2 hierarchy mounted there.
 * @throws {CrateError} `UNSUPPORTED` when neither version is mounted.
 */
export function parseLayout(
  mountinfo: string,
  controllersOf: (mount: string) => string,
): CgroupLayout {
  const v1 = new Map<string, string>();
  let v2: CgroupLayout["v2"];
  // The first mount of a hierarchy counts: engines mount the same ones again for containers.
  for (const { at, v2: unified, options } of visibleMounts(mountinfo)) {
    if (unified) {
      v2 ??= { mount: at, controllers: controllersOf(at).trim().split(" ").filter(Boolean) };
      continue;
    }
    const words = options.split(",");
    const names = words.filter((word) => V1_CONTROLLERS.has(word));
    if (names.length === 0) names.push(...words.filter((word) => word.startsWith("name=")));
    for (const name of names) if (!v1.has(name)) v1.set(name, at);
  }
  if (v2 === undefined && v1.size === 0) {
    throw new CrateError(
      "UNSUPPORTED",
      "no cgroup hierarchy is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup",
    );
  }
  return { v1, v2 };
}

/** The cgroup mounts, without those that a later mount lies upon. */
function visibleMounts(mountinfo: string): Mount[] {
  let mounts: Mount[] = [];
  for (let start = 0; start < mountinfo.length;) {
    let end = mountinfo.indexOf("\n", start);
    if (end < 0) end = mountinfo.length;
    // `31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - tmpfs tmpfs rw,mode=755`
    const type = mountinfo.indexOf(" - ", start) + 3;
    const isCgroup = mountinfo.startsWith("cgroup", type);
    if (type > 2 && type < end && (isCgroup || mounts.length > 0)) {
      const at = mountPoint(mountinfo, start);
      if (at !== "/") {
        mounts = mounts.filter((other) => other.at !== at && !other.at.startsWith(`${at}/`));
      }
      if (isCgroup) {
        const options = mountinfo.slice(mountinfo.lastIndexOf(" ", end - 1) + 1, end);
        mounts.push({ at, v2: mountinfo.startsWith("cgroup2 ", type), options });
      }
    }
    start = end + 1;
  }
  return mounts;
}

/** The fifth field of a line. */
function mountPoint(text: string, start: number): string {
  let from = start;
  for (let field = 0; field < 4; field++) from = text.indexOf(" ", from) + 1;
  const raw = text.slice(from, text.indexOf(" ", from));
  if (!raw.includes("\\")) return raw;
  return raw.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));
}
