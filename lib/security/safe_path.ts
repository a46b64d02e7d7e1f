import {
  AT_EMPTY_PATH,
  close,
  decodeText,
  EAGAIN,
  ELOOP,
  ENOENT,
  ENOTDIR,
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  open,
  open_how,
  readAll,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  S_IFMT,
  S_IFREG,
  statx_layout,
  syscall,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";

const STATX_TYPE = 1;
const STATX_SIZE = 256;

/** How often a path is resolved again that somebody renames `..` in meanwhile, openat2(2). */
const ATTEMPTS = 16;

/**
 * Reads a file below a directory that a stranger fills: no link and no `..` leads out of it, nothing but a
 * regular file is opened (a device may act on being opened, a fifo may hang), and it has an end.
 *
 * @param rootFd a descriptor of the directory that counts as `/`.
 * @param path of the file there, `/etc/passwd`; a link is followed as a process in that root would follow it.
 * @param max the most bytes that the file may have.
 * @returns its text (what is not UTF-8 becomes U+FFFD); undefined when it is not there.
 * @throws {CrateError} `INVALID`: not a regular file, too long, links in a circle.
 * @throws {SyscallError} what else the kernel says, such as EACCES.
 *
 * @example
 * ```ts
 * import { close, O_DIRECTORY, O_PATH, open } from "../../ffi/mod.ts";
 * import { readInRoot } from "./safe_path.ts";
 * const root = open("/", O_PATH | O_DIRECTORY);
 * const passwd = readInRoot(root, "/etc/passwd", 1 << 20);
 * close(root);
 * if (!passwd?.startsWith("root:")) throw new Error();
 * ```
 *
 * @see openat2(2), statx(2)
 */
export function readInRoot(rootFd: number, path: string, max: number): string | undefined {
  const found = find(rootFd, path);
  if (found === undefined) return undefined;
  try {
    const status = new Uint8Array(STATX_SIZE);
    syscall("statx", found, "", AT_EMPTY_PATH, STATX_TYPE, status);
    if ((statx_layout.get(status, "stx_mode") & S_IFMT) !== S_IFREG) {
      throw new CrateError("INVALID", `${path} in the root filesystem is not a regular file`);
    }
    // The descriptor holds the very file that was looked at, whatever stands at the path by now.
    const fd = open(`/proc/self/fd/${found}`, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    try {
      const bytes = readAll(fd, max + 1, path);
      if (bytes.length > max) {
        throw new CrateError(
          "INVALID",
          `${path} in the root filesystem has more than ${max} bytes`,
        );
      }
      return decodeText(bytes);
    } finally {
      close(fd);
    }
  } finally {
    close(found);
  }
}

/** A descriptor of what is at the path, not opened; undefined when nothing is. */
function find(rootFd: number, path: string): number | undefined {
  const how = open_how.pack({
    flags: O_PATH | O_CLOEXEC,
    resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
  });
  for (let attempt = 1;; attempt++) {
    const result = trySyscall("openat2", rootFd, path, how, how.length);
    if (result >= 0) return result;
    if (result === -ENOENT || result === -ENOTDIR) return undefined;
    if (result === -EAGAIN && attempt < ATTEMPTS) continue;
    if (result === -ELOOP) {
      throw new CrateError(
        "INVALID",
        `${path} in the root filesystem leads through links in a circle, or through /proc's`,
      );
    }
    throw new SyscallError("openat2", -result, path);
  }
}
