import { AT_FDCWD, syscall } from "../../../ffi/mod.ts";
import { LayerWriter, ownXattrs, statusOf, withDefaults } from "../unpack/mod.ts";
import { walkTree } from "./walk.ts";

/**
 * Makes an empty directory a copy of another one: owners, modes, times, links, attributes and holes of all that is
 * in it, and its own owner and mode.
 *
 * @param from a descriptor; it stays the caller's.
 * @throws {CrateError} @throws {SyscallError}
 */
export async function copyTree(from: number, to: string): Promise<void> {
  const writer = new LayerWriter(to, [], ownXattrs(), withDefaults());
  try {
    for (const event of walkTree(from)) {
      if (event.type === "entry") writer.entry(event.entry);
      else if (event.type === "data") writer.data(event.bytes, event.offset);
      else writer.end();
      writer.queue.submitWhenFull();
      await writer.queue.drain(2);
    }
    await writer.finish();
  } finally {
    await writer.close();
  }
  const { mode, uid, gid } = statusOf(from);
  syscall("fchownat", AT_FDCWD, to, uid, gid, 0);
  syscall("fchmodat", AT_FDCWD, to, mode);
}
