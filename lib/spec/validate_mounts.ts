/**
 * Validation of `mounts` and of id maps.
 *
 * @module
 */
import type { LinuxNamespaceType, Mount } from "./types.ts";
import {
  at,
  each,
  fail,
  type Fields,
  integer,
  object,
  optionalEach,
  optionalStrings,
  optionalText,
  refuse,
  text,
} from "./check.ts";
import { MAX_UINT32 } from "./largest.ts";

/** Throws `INVALID` unless the config's mounts are mounts, in a mount namespace. */
export function validateMounts(
  spec: Fields,
  root: string,
  namespaces: ReadonlyMap<LinuxNamespaceType, string | undefined>,
): void {
  const items = validateMountList(spec, root);
  if (items !== undefined && items.length > 0 && !namespaces.has("mount")) {
    fail(`${at(root, "mounts")} needs a mount namespace in linux.namespaces`);
  }
}

/** `mounts` of an object, when it has them. @throws {CrateError} `INVALID` */
export function validateMountList(fields: Fields, root: string): readonly Mount[] | undefined {
  return optionalEach(fields, "mounts", root, mount) as readonly Mount[] | undefined;
}

/** The destinations of a list of mounts. @throws {CrateError} `INVALID` */
export function validateMountPoints(
  { mounts }: Fields,
  root: string,
): readonly Pick<Mount, "destination">[] {
  return each(mounts, at(root, "mounts"), mountPoint) as readonly Pick<Mount, "destination">[];
}

function mountPoint(value: unknown, field: string): Fields {
  const fields = object(value, field);
  const destination = at(field, "destination");
  // A relative one is read as from "/", as the spec asks of runtimes.
  if (text(fields.destination, destination) === "") refuse(destination, "name a directory", "");
  return fields;
}

function mount(value: unknown, field: string): void {
  const fields = mountPoint(value, field);
  const type = optionalText(fields, "type", field);
  const source = optionalText(fields, "source", field);
  const options = optionalStrings(fields, "options", field);
  // One that changes a mount that there is needs to name none.
  if (options?.includes("remount")) return mappings(fields, field);
  if (type === "bind" || options?.includes("bind") || options?.includes("rbind")) {
    if (source === undefined || source === "") {
      refuse(at(field, "source"), "name what to bind", source);
    }
  } else if (type === undefined || type === "" || type === "none") {
    refuse(at(field, "type"), 'name a filesystem, or options have "bind" or "rbind"', type);
  }
  mappings(fields, field);
}

function mappings(fields: Fields, field: string): void {
  const uids = optionalEach(fields, "uidMappings", field, validateIDMapping);
  const gids = optionalEach(fields, "gidMappings", field, validateIDMapping);
  if ((uids?.length ?? 0) > 0 !== (gids?.length ?? 0) > 0) {
    fail(`${field} must have both uidMappings and gidMappings, or neither`);
  }
}

/** One line of a uid or gid map: both ranges stay inside 32 bits. */
export function validateIDMapping(value: unknown, field: string): void {
  const map = object(value, field);
  const size = integer(map.size, at(field, "size"), 1, MAX_UINT32);
  for (const key of ["containerID", "hostID"]) {
    const first = integer(map[key], at(field, key), 0, MAX_UINT32);
    if (first + size > MAX_UINT32 + 1) {
      fail(`${field} ends after 2^32-1: ${key} ${first}, size ${size}`);
    }
  }
}
