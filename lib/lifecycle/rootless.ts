import { AT_FDCWD, ENOENT, isInitialUserNamespace, readText, trySyscall } from "../../ffi/mod.ts";
import type { CgroupPlan } from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import type { LinuxResources, Spec } from "../spec/mod.ts";

// crate as the root of a user namespace, where a rootless engine calls it. user_namespaces(7)

const X_OK = 1;
const W_OK = 2;

/** Whether a group is one in this user namespace. proc(5), /proc/pid/gid_map */
function hasGroup(gid: number): boolean {
  return readText("/proc/self/gid_map").split("\n").some((line) => {
    const [first, , count] = line.trim().split(/\s+/).map(Number);
    return gid >= first! && gid < first! + count!;
  });
}

/** A config without the group of terminals (5) where that is none: in a namespace of one id. */
export function withOwnGroups(spec: Spec): Spec {
  if (isInitialUserNamespace()) return spec;
  const mounts = spec.mounts?.map((mount) => {
    const wanted = mount.type !== "devpts"
      ? undefined
      : mount.options?.find((option) =>
        option.startsWith("gid=") && !hasGroup(Number(option.slice(4)))
      );
    if (wanted === undefined) return mount;
    return { ...mount, options: mount.options!.filter((option) => option !== wanted) };
  });
  return { ...spec, ...mounts && { mounts } };
}

/** Whether nothing is to be limited; who may use which device is no limit. */
function asksNothing({ devices: _, ...limits }: LinuxResources): boolean {
  return Object.values(limits).every((limit) =>
    limit === undefined || typeof limit === "object" && Object.keys(limit).length === 0
  );
}

/** The file of a program, in the first directory of `PATH` that has it. */
export function findProgram(name: string, path: string): string | undefined {
  return path.split(":")
    .filter((directory) => directory.startsWith("/"))
    .map((directory) => `${directory}/${name}`)
    .find((path) => trySyscall("faccessat", AT_FDCWD, path, X_OK) === 0);
}

/** The programs that give a user without root a network, and Debian's packages of them. */
export const USER_NETWORKS = { pasta: "passt", slirp4netns: "slirp4netns" } as const;

/**
 * The network of a container of a user without root, when nothing is said: by the first program that is there.
 *
 * @param path `PATH`.
 * @param warn told when there is none.
 */
export function rootlessDefault(
  path: string,
  warn: (message: string) => void,
): keyof typeof USER_NETWORKS | "none" {
  for (const program of ["pasta", "slirp4netns"] as const) {
    if (findProgram(program, path) !== undefined) return program;
  }
  warn(
    "the container has no network: neither pasta (Debian's package: passt) nor slirp4netns is in PATH",
  );
  return "none";
}

/**
 * What is left of a plan for a user who may make no groups: nothing, when nothing is to be limited.
 *
 * A rootless engine asks for limits only where the user may set them.
 */
export function withoutForbidden(plan: CgroupPlan, resources: LinuxResources): CgroupPlan {
  return !asksNothing(resources) || plan.directories.every(canMake) ? plan : emptied(plan);
}

/**
 * A plan that makes no groups: the container stays in crate's own.
 *
 * @throws {CrateError} `INVALID` when something is to be limited.
 */
export function withoutGroups(plan: CgroupPlan, resources: LinuxResources): CgroupPlan {
  if (asksNothing(resources)) return emptied(plan);
  throw new CrateError(
    "INVALID",
    "linux.resources has limits, and --cgroup-manager disabled leaves no group that could have them",
  );
}

function emptied(plan: CgroupPlan): CgroupPlan {
  return {
    ...plan,
    v1: new Map(),
    v2: undefined,
    directories: [],
    parents: [],
    enable: undefined,
    writes: [],
    deviceProgram: undefined,
    join: [],
    joinDirectory: undefined,
  };
}

/** Whether a directory may be made, and those above it that are missing. */
function canMake(directory: string): boolean {
  for (let path = directory; path.length > 1;) {
    path = path.slice(0, path.lastIndexOf("/"));
    const result = trySyscall("faccessat", AT_FDCWD, path || "/", W_OK);
    if (result !== -ENOENT) return result === 0;
  }
  return false;
}

/**
 * Becomes crate as the root of the user's own namespace, with the same words. Never returns.
 *
 * @param environment this process's.
 * @throws {CrateError} `PERMISSION` when this host gives the user none.
 */
export async function enterUserNamespace(
  environment: Readonly<Record<string, string>>,
): Promise<never> {
  // An ordinary user alone needs it.
  return await (await import("./enter.ts")).enter(environment);
}
