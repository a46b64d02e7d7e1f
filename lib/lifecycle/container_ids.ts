import { CrateError } from "../errors.ts";
import type { LinuxIDMapping, Spec } from "../spec/mod.ts";

/** What the kernel shows for an id that a user namespace does not have: /proc/sys/kernel/overflowuid */
const OVERFLOW = 65534;

/** A user and a group. */
export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/** The ids of a container's user namespace; without one they are this process's own. */
export interface ContainerIds {
  /** As the container sees them. */
  inside(ids: Ids): Ids;
  /** As this process sees them. @throws {CrateError} `INVALID` for what the container does not have. */
  outside(ids: Ids): Ids;
}

/** @example
 * ```ts
 * import { containerIds } from "./container_ids.ts";
 * const uidMappings = [{ containerID: 0, hostID: 1000, size: 10 }];
 * const ids = containerIds({ linux: { uidMappings } });
 * if (ids.outside({ uid: 3, gid: 3 }).uid !== 1003) throw new Error();
 * if (ids.inside({ uid: 1003, gid: 3 }).uid !== 3) throw new Error();
 * ```
 */
export function containerIds({ linux }: Pick<Spec, "linux">): ContainerIds {
  const { uidMappings = [], gidMappings = [] } = linux ?? {};
  return {
    inside: ({ uid, gid }) => ({ uid: inside(uidMappings, uid), gid: inside(gidMappings, gid) }),
    outside: ({ uid, gid }) => ({
      uid: outside(uidMappings, uid, "user"),
      gid: outside(gidMappings, gid, "group"),
    }),
  };
}

function inside(maps: readonly LinuxIDMapping[], id: number): number {
  if (maps.length === 0) return id;
  const map = maps.find(({ hostID, size }) => id >= hostID && id - hostID < size);
  return map === undefined ? OVERFLOW : map.containerID + id - map.hostID;
}

function outside(maps: readonly LinuxIDMapping[], id: number, what: string): number {
  if (maps.length === 0) return id;
  const map = maps.find(({ containerID, size }) => id >= containerID && id - containerID < size);
  if (map !== undefined) return map.hostID + id - map.containerID;
  throw new CrateError("INVALID", `the container's user namespace has no ${what} ${id}`);
}
