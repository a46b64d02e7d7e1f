import {
  cap_user_data,
  cap_user_header,
  LINUX_CAPABILITY_VERSION_3,
  syscall,
} from "../../ffi/mod.ts";
import type { Ids } from "./container_ids.ts";

/**
 * From now on what this thread makes belongs to these ids: on an id-mapped mount nobody makes a file whom it does not map,
 * root included. What root may do with files it still may.
 *
 * @throws {SyscallError}
 *
 * @see setfsuid(2), mount_setattr(2) "ID-mapped mounts"
 */
export function makeFilesAs({ uid, gid }: Ids): void {
  syscall("setfsgid", gid);
  // The kernel takes root's rights over files with it, out of the effective set.
  syscall("setfsuid", uid);
  const header = cap_user_header.pack({ version: LINUX_CAPABILITY_VERSION_3 });
  const sets = new Uint8Array(cap_user_data.size);
  syscall("capget", header, sets);
  for (const half of ["lo", "hi"] as const) {
    const permitted = cap_user_data.offset(`permitted_${half}`);
    sets.copyWithin(cap_user_data.offset(`effective_${half}`), permitted, permitted + 4);
  }
  syscall("capset", header, sets);
}
