import { CLONE_NEWUSER, close, O_RDONLY, open } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import {
  type IdMaps,
  type IdmapWords,
  type LinuxIDMapping,
  type Mount,
  parseIdmapOption,
  type Spec,
} from "../spec/mod.ts";
import { writeMaps } from "./equip.ts";
import { compileHolder, isIdmapped } from "./program/mod.ts";
import { launchHolder } from "./start.ts";

/** User namespaces for the idmapped mounts of a config: each mount's, open until they are let go. */
export interface Idmaps extends Disposable {
  readonly mounts: readonly Mount[];
  readonly descriptors: readonly number[];
}

/** The mounts of a config that show their files with other owners. */
export function idmappedMounts({ mounts }: Spec): Mount[] {
  return (mounts ?? []).filter(isIdmapped);
}

/**
 * Makes user namespaces for the idmapped mounts, each with the mount's maps or, where it has none, the container's.
 *
 * @param directory where an unlinked file may stand.
 * @throws {CrateError} `INVALID` for maps that the kernel refuses, or that there are none; `PERMISSION`.
 */
export function makeIdmaps(spec: Spec, directory: string): Idmaps {
  const mounts = idmappedMounts(spec);
  const made = new Map<string, number>();
  const dispose = () => made.forEach((fd) => close(fd));
  try {
    const descriptors = mounts.map((mount) => {
      const maps = mapsOf(spec, mount);
      // Those with the same maps share one.
      const key = JSON.stringify([maps.uids, maps.gids]);
      const fd = made.get(key) ?? makeNamespace(maps, directory);
      made.set(key, fd);
      return fd;
    });
    return { mounts, descriptors, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** A mount's maps, and the field that they are part of. */
interface MountMaps extends IdMaps {
  readonly field: string;
}

function mapsOf({ linux, mounts }: Spec, mount: Mount): MountMaps {
  const field = `mounts[${mounts!.indexOf(mount)}]`;
  const given = (own: readonly LinuxIDMapping[] | undefined, all: typeof own) =>
    own !== undefined && own.length > 0 ? own : all ?? [];
  const words = mount.options?.find((option) => /^r?idmap=/.test(option));
  const asked = words === undefined ? undefined : parseIdmapOption(words, `${field}.options`);
  const uids = asked === undefined
    ? given(mount.uidMappings, linux?.uidMappings)
    : absolute(asked.uids, linux?.uidMappings, `${field}.options "${words}"`);
  const gids = asked === undefined
    ? given(mount.gidMappings, linux?.gidMappings)
    : absolute(asked.gids, linux?.gidMappings, `${field}.options "${words}"`);
  if (uids.length === 0 || gids.length === 0) {
    throw new CrateError(
      "INVALID",
      `${field} is to be id-mapped: it needs uidMappings and gidMappings, of its own or of linux`,
    );
  }
  return { uids, gids, field };
}

function makeNamespace({ uids, gids, field }: MountMaps, directory: string): number {
  using holder = launchHolder(compileHolder(CLONE_NEWUSER), directory);
  writeMaps(holder.pid, uids, gids, field);
  return open(`/proc/${holder.pid}/ns/user`, O_RDONLY);
}

/** A map whose second ids are the container's has the host's in their place. @throws {CrateError} `INVALID` */
function absolute(
  { relative, mappings }: IdmapWords,
  container: readonly LinuxIDMapping[] = [],
  field: string,
): readonly LinuxIDMapping[] {
  if (!relative) return mappings;
  return mappings.map(({ containerID, hostID, size }) => {
    const outer = container.find((map) =>
      map.containerID <= hostID && hostID + size <= map.containerID + map.size
    );
    if (outer === undefined) {
      throw new CrateError(
        "INVALID",
        `${field}: the container's user namespace has no one range with ${hostID} to ${
          hostID + size - 1
        }`,
      );
    }
    return { containerID, hostID: outer.hostID + hostID - outer.containerID, size };
  });
}
