import {
  close,
  EEXIST,
  EINTR,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDONLY,
  open,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFREG,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { bytesOf, quoted, type TarEntry, type TarType } from "../tar/mod.ts";
import { pathIn } from "./directories.ts";
import { type Found, targetOf, userXattrs } from "./lowers.ts";
import type { LayerWriter, PendingLink } from "./writer.ts";

const CHUNK = 1 << 20;
const TYPES: ReadonlyMap<number, TarType> = new Map([
  [S_IFREG, "file"],
  [S_IFCHR, "character"],
  [S_IFBLK, "block"],
  [S_IFIFO, "fifo"],
]);

/**
 * Makes a hard link whose other name is in a layer below: as when layers are unpacked over each other, both
 * names are one file, which this layer then has.
 *
 * @throws {CrateError} `INVALID` when nothing has that name.
 */
export function addPendingLink(writer: LayerWriter, link: PendingLink): void {
  const name = link.target.at(-1)!;
  const directory = writer.resolve(link.path, link.target.slice(0, -1), true)!;
  const path = pathIn(directory, name);
  // A link to what another link has brought here meanwhile.
  if (tryLink(writer, link, path)) return;
  const below = directory.isOpaque || directory.whiteouts.has(name)
    ? undefined
    : writer.lowers.find(path);
  if (below === undefined) {
    throw new CrateError(
      "INVALID",
      `entry ${quoted(link.path)} is a hard link to ${quoted(path)}, which does not exist`,
    );
  }
  try {
    if (below.type === S_IFDIR) {
      throw new CrateError(
        "INVALID",
        `entry ${quoted(link.path)} is a hard link to a directory, ${quoted(path)}`,
      );
    }
    copy(writer, path, below);
  } finally {
    close(below.fd);
  }
  if (!tryLink(writer, link, path)) {
    throw new CrateError("FAILED", `entry ${quoted(link.path)}: cannot make the hard link`);
  }
}

/** False when there is no such file in this layer. */
function tryLink(writer: LayerWriter, { directory, name, target }: PendingLink, path: string) {
  const from = writer.opened(writer.directories.root);
  const to = writer.opened(directory);
  const result = trySyscall("linkat", from, bytesOf(path, 1), to, bytesOf(name, 1), 0);
  // What is there by now came later in the archive.
  return result === 0 || result === -EEXIST && target.length > 0;
}

/** Gives this layer a file of a layer below, as an archive would. */
function copy(writer: LayerWriter, path: string, below: Found): void {
  const type = TYPES.get(below.type) ?? "symlink";
  const isFile = type === "file";
  // The descriptor only names the file; the file itself, not what a stranger could put in its place.
  const self = `/proc/self/fd/${below.fd}`;
  const fd = isFile ? open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY) : -1;
  try {
    const entry: TarEntry = {
      ...below,
      type,
      path,
      linkPath: type === "symlink" ? targetOf(below.fd) : "",
      size: isFile ? below.size : 0,
      xattrs: isFile ? userXattrs(fd) : new Map(),
    };
    writer.entry(entry);
    for (let offset = 0; isFile;) {
      const chunk = new Uint8Array(CHUNK);
      const count = trySyscall("read", fd, chunk, chunk.length);
      if (count === -EINTR) continue;
      if (count < 0) throw new SyscallError("read", -count, path);
      if (count === 0) break;
      writer.data(chunk.subarray(0, count), offset);
      offset += count;
      writer.queue.settle();
    }
    writer.end();
    writer.queue.settle();
  } finally {
    if (fd >= 0) close(fd);
  }
}
