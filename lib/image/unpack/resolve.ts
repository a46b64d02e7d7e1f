import { EINVAL, ENOENT, S_IFDIR, trySyscall } from "../../../ffi/mod.ts";
import { bytesOf, type ByteString, byteString, quoted } from "../tar/mod.ts";
import { type Directory, pathIn } from "./directories.ts";
import { IMPLICIT, invalid } from "./entry_calls.ts";
import { targetOf, userXattrs } from "./lowers.ts";
import type { LayerWriter } from "./writer.ts";

/** What path_resolution(7) follows. */
const MAX_LINKS = 40;
const S_IFLNK = 0o120000;

/**
 * The directory of this layer at a path, links followed as in a root of its own, through the layers
 * below too; what is missing is made like what is below, or like the root.
 *
 * @param path the entry that asks.
 * @param create otherwise undefined when this layer does not have it.
 */
export function resolveDirectory(
  writer: LayerWriter,
  path: ByteString,
  names: readonly ByteString[],
  create: boolean,
): Directory | undefined {
  const left = [...names].reverse();
  let links = 0;
  let at = writer.directories.root;
  const follow = (target: ByteString) => {
    if (++links > MAX_LINKS) throw invalid(path, "leads through too many links");
    if (target.startsWith("/")) at = writer.directories.root;
    left.push(...target.split("/").filter((part) => part !== "" && part !== ".").reverse());
  };
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    if (name === "..") {
      at = at.parent ?? at;
      continue;
    }
    const here = pathIn(at, name);
    const known = writer.directories.get(here);
    if (known !== undefined) {
      at = known;
      continue;
    }
    const buffer = new Uint8Array(4096);
    const fd = writer.opened(at);
    const length = trySyscall("readlinkat", fd, bytesOf(name, 1), buffer, buffer.length);
    if (length >= 0) {
      follow(byteString(buffer, 0, length));
      continue;
    }
    const isWhiteout = length === -EINVAL && at.whiteouts.has(name);
    if (length !== -ENOENT && !isWhiteout) {
      throw invalid(path, `lies in ${quoted(here)}, which is not a directory`);
    }
    const below = at.isOpaque || isWhiteout ? undefined : writer.lowers.find(here);
    if (below === undefined) {
      if (!create) return undefined;
      at = writer.makeDirectory(at, name, IMPLICIT);
      continue;
    }
    try {
      if (below.type === S_IFDIR) {
        if (!create) return undefined;
        at.followed.add(name);
        at = writer.makeDirectory(at, name, { ...below, xattrs: userXattrs(below.fd) });
      } else if (below.type === S_IFLNK) {
        at.followed.add(name);
        follow(targetOf(below.fd));
      } else throw invalid(path, `lies in ${quoted(here)}, which is not a directory`);
    } finally {
      trySyscall("close", below.fd);
    }
  }
  return at;
}
