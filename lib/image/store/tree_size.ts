import {
  AT_SYMLINK_NOFOLLOW,
  close,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  open,
  open_how,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  S_IFDIR,
  S_IFMT,
  STATX_BASIC_STATS,
  statx_layout,
  trySyscall,
} from "../../../ffi/mod.ts";
import { bytesOf, type ByteString } from "../tar/mod.ts";
import { namesIn } from "../unpack/mod.ts";

/** A file system counts in these, whatever its blocks are. statx(2), `stx_blocks` */
const BLOCK = 512;

/**
 * What a tree takes on the disk, a file with several names once. A stranger may change it meanwhile: nothing of it is
 * opened but directories, and those below the top by the kernel. What has gone, and what lies deeper than a
 * path can say, is not counted.
 *
 * @returns bytes; 0 when nothing is there.
 *
 * @example
 * ```ts
 * import { treeSize } from "./tree_size.ts";
 * const directory = Deno.makeTempDirSync();
 * Deno.writeFileSync(`${directory}/file`, new Uint8Array(1 << 20));
 * if (treeSize(directory) < 1 << 20) throw new Error();
 * Deno.removeSync(directory, { recursive: true });
 * ```
 */
export function treeSize(top: string): number {
  const how = open_how.pack({
    flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
    resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
  });
  const buffer = new Uint8Array(256);
  const seen = new Set<number>();
  let blocks = 0;
  const root = open(top, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  try {
    const directories: ByteString[] = ["."];
    for (let path = directories.pop(); path !== undefined; path = directories.pop()) {
      const fd = trySyscall("openat2", root, bytesOf(path, 1), how, how.length);
      if (fd < 0) continue;
      try {
        for (const name of namesIn(fd)) {
          const bytes = bytesOf(name, 1);
          const flags = AT_SYMLINK_NOFOLLOW;
          if (trySyscall("statx", fd, bytes, flags, STATX_BASIC_STATS, buffer) < 0) continue;
          const isDirectory = (statx_layout.get(buffer, "stx_mode") & S_IFMT) === S_IFDIR;
          if (isDirectory) directories.push(`${path}/${name}`);
          else if (statx_layout.get(buffer, "stx_nlink") > 1) {
            const inode = statx_layout.get(buffer, "stx_ino");
            if (seen.has(inode)) continue;
            seen.add(inode);
          }
          blocks += statx_layout.get(buffer, "stx_blocks");
        }
      } finally {
        close(fd);
      }
    }
  } finally {
    close(root);
  }
  return blocks * BLOCK;
}
