import type { IdMaps, LinuxIDMapping } from "../../spec/mod.ts";
import type { TarEntry } from "../tar/mod.ts";

// What a container in a user namespace has written, as it would be without one: an image is everybody's.

type Attributes = Pick<TarEntry, "mode" | "uid" | "gid" | "mtime" | "major" | "minor">;

/** The container's id for one of the host's; one that is in no map stays as it is shown. */
function idInside(maps: readonly LinuxIDMapping[], id: number): number {
  const map = maps.find(({ hostID, size }) => id >= hostID && id < hostID + size);
  return map === undefined ? id : id - map.hostID + map.containerID;
}

/** A file's attributes with its owner as the container has it. */
export function inside(
  { attributes }: { readonly attributes: Attributes },
  { uids, gids }: IdMaps,
): Attributes {
  const { uid, gid } = attributes;
  return { ...attributes, uid: idInside(uids, uid), gid: idInside(gids, gid) };
}

/** The extended attribute with a file's capabilities. capabilities(7) */
export const CAPABILITY = "security.capability";

/** struct vfs_ns_cap_data, linux/capability.h: version 3 is version 2 with the namespace's root behind it. */
const [VERSION_2, VERSION_3, SIZE_2] = [2, 3, 20];

/** A file's capabilities for whatever namespace it comes to, in place of those for one. */
export function everywhere(value: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (value.length <= SIZE_2 || value[3] !== VERSION_3) return value;
  const plain = value.slice(0, SIZE_2);
  plain[3] = VERSION_2;
  return plain;
}
