import {
  ELOOP,
  ENOENT,
  ENOTDIR,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  open_how,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";
import { bytesOf, type ByteString, textOf } from "../tar/mod.ts";
import type { OverlayXattrs } from "../unpack/mod.ts";
import { walkTree } from "./walk.ts";

/** What a container did to its root filesystem: docker's letters. */
export interface TreeChange {
  readonly kind: "added" | "changed" | "deleted";
  /** Absolute. */
  readonly path: string;
}

/**
 * What an overlay's upper directory changes.
 *
 * @param upper a descriptor of it.
 * @param lower of what lies below, as it is seen; asked once for each name.
 * @throws {CrateError} @throws {SyscallError}
 */
export function* treeChanges(
  upper: number,
  lower: number,
  overlay: OverlayXattrs,
): Generator<TreeChange> {
  for (const event of walkTree(upper, { overlay })) {
    if (event.type !== "entry") continue;
    const path = event.entry.path.replace(/\/$/, "");
    const slash = path.lastIndexOf("/") + 1;
    const name = path.slice(slash);
    if (name === ".wh..wh..opq") continue;
    const hidden = name.startsWith(".wh.");
    const plain = hidden ? path.slice(0, slash) + name.slice(4) : path;
    const kind = hidden ? "deleted" : isThere(lower, plain) ? "changed" : "added";
    yield { kind, path: `/${textOf(plain)}` };
  }
}

function isThere(lower: number, path: ByteString): boolean {
  const how = open_how.pack({
    flags: O_PATH | O_NOFOLLOW | O_CLOEXEC,
    resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
  });
  const fd = trySyscall("openat2", lower, bytesOf(path, 1), how, how.length);
  if (fd >= 0) {
    trySyscall("close", fd);
    return true;
  }
  // RESOLVE_NO_SYMLINKS says ELOOP of a link, which is there, too.
  if (fd === -ENOENT || fd === -ENOTDIR) return false;
  if (fd === -ELOOP) return true;
  throw new SyscallError("openat2", -fd, textOf(path));
}
