/**
 * A container in a user namespace of its own: its root is an ordinary user of the host's.
 *
 * What is crate's own (the root filesystem, volumes) is shown with the container's ids, by id-mapped mounts: on disk
 * it is as another container's is. What the kernel lets nobody mount in there is bound from the host.
 *
 * @module
 */
import { CrateError } from "../errors.ts";
import type { RunOptions } from "./options.ts";
import type { LinuxIDMapping, LinuxNamespaceType, Mount, Spec } from "./types.ts";

/** For a container's ids those that they are on the host, as `linux.uidMappings` has them. */
export interface IdMaps {
  readonly uids: readonly LinuxIDMapping[];
  readonly gids: readonly LinuxIDMapping[];
}

/** UID_GID_MAP_MAX_EXTENTS, include/linux/user_namespace.h. */
const MOST_RANGES = 340;

function invalid(sentence: string): CrateError {
  return new CrateError("INVALID", sentence);
}

/** Refuses what is no map, and one in which the container would have no root. */
function requireMap(maps: readonly LinuxIDMapping[], option: string): void {
  if (maps.length > MOST_RANGES) {
    throw invalid(
      `${option}: the kernel takes ${MOST_RANGES} ranges, and these are ${maps.length}`,
    );
  }
  for (const key of ["containerID", "hostID"] as const) {
    const sorted = [...maps].sort((a, b) => a[key] - b[key]);
    sorted.forEach((map, i) => {
      const before = sorted[i - 1];
      if (before === undefined || before[key] + before.size <= map[key]) return;
      const whose = key === "hostID" ? "of the host" : "of the container";
      throw invalid(`${option}: id ${map[key]} ${whose} is in two ranges: it can be in one`);
    });
  }
  if (!isMapped(maps, 0)) {
    throw invalid(`${option}: the container's root, id 0, is in no range: add 0:HOST:SIZE`);
  }
}

const isMapped = (maps: readonly LinuxIDMapping[], id: number) =>
  maps.some(({ containerID, size }) => id >= containerID && id < containerID + size);

function requireMapped(maps: readonly LinuxIDMapping[], ids: readonly number[], what: string) {
  const lacking = ids.find((id) => !isMapped(maps, id));
  if (lacking === undefined) return;
  const ranges = maps.map(({ containerID, size }) =>
    size === 1 ? `${containerID}` : `${containerID} to ${containerID + size - 1}`
  );
  throw invalid(
    `${what} ${lacking} is not in the container's user namespace, which has ${
      ranges.join(", ")
    }: ask for more (--userns auto:size=N, --uidmap, --gidmap)`,
  );
}

/** What the host's kernel shows of itself, in place of a mount that needs a namespace which is the host's. */
const BOUND: Readonly<Record<string, LinuxNamespaceType>> = {
  proc: "pid",
  sysfs: "network",
  mqueue: "ipc",
  cgroup: "cgroup",
};

/** A bind's words for what a filesystem's mount has said. */
function bound({ destination, options = [] }: Mount): Mount {
  const kept = options.filter((option) => /^no(suid|exec|dev)$/.test(option));
  const readonly = options.includes("ro") ? ["rro"] : [];
  return {
    destination,
    type: "bind",
    source: destination,
    options: ["rbind", ...kept, ...readonly, "rprivate"],
  };
}

/** The container's root with its own ids. */
function mapped(mounts: readonly Mount[], root: string): Mount[] {
  if (mounts.some(({ destination }) => destination === "/")) {
    return mounts.map((mount) =>
      mount.destination === "/" ? { ...mount, options: [...mount.options ?? [], "idmap"] } : mount
    );
  }
  const own = { destination: "/", type: "bind", source: root, options: ["rbind", "idmap"] };
  return [own, ...mounts];
}

/**
 * A config with a user namespace of the container's own.
 *
 * @param options what it was made of.
 * @throws {CrateError} `INVALID` for maps that are none, or without a user or group that the container has.
 */
export function inUserNamespace(
  spec: Spec,
  { uids, gids }: IdMaps,
  options: Pick<RunOptions, "devices" | "pid" | "sysctls">,
): Spec {
  requireMap(uids, "--uidmap");
  requireMap(gids, "--gidmap");
  const { uid = 0, gid = 0, additionalGids = [] } = spec.process?.user ?? {};
  requireMapped(uids, [uid], "user");
  requireMapped(gids, [gid, ...additionalGids], "group");
  if (options.pid === "host" && Object.keys(options.sysctls ?? {}).length > 0) {
    throw invalid(
      "--sysctl in a user namespace needs a /proc of the container's own: leave it or --pid=host out",
    );
  }
  const { linux = {}, mounts = [] } = spec;
  const namespaces = linux.namespaces ?? [];
  const isNew = (type: LinuxNamespaceType) =>
    namespaces.some((each) => each.type === type && each.path === undefined);
  const hasTerminals = isMapped(gids, 5);
  const adapted = mounts.map((mount) => {
    const needed = BOUND[mount.type ?? ""];
    if (needed !== undefined && !isNew(needed)) return bound(mount);
    if (mount.type !== "devpts" || hasTerminals) return mount;
    return { ...mount, options: mount.options?.filter((option) => option !== "gid=5") };
  });
  // Nobody makes device nodes in there: the host's own are bound.
  const devices = (options.devices ?? []).map(({ device, source = device.path }): Mount => ({
    destination: device.path,
    type: "bind",
    source,
    options: ["bind", "nosuid", "noexec", "rprivate"],
  }));
  const isBound = (path: string) => devices.some(({ destination }) => destination === path);
  const { devices: all, ...rest } = linux;
  const others = all?.filter(({ path }) => !isBound(path)) ?? [];
  return {
    ...spec,
    mounts: [...mapped(adapted, spec.root!.path), ...devices],
    linux: {
      ...rest,
      ...others.length > 0 && { devices: others },
      namespaces: [...namespaces, { type: "user" }],
      uidMappings: uids,
      gidMappings: gids,
    },
  };
}
