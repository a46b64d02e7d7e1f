import {
  AT_EMPTY_PATH,
  close,
  ENOENT,
  ENOTDIR,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  open,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  STATX_BASIC_STATS,
  statx_layout,
  syscall,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";
import { bytesOf, type ByteString, byteString, type TarTime } from "../tar/mod.ts";
import { opaqueMark, type OverlayXattrs } from "./xattrs.ts";

/** What a file is, statx(2). */
export interface Status {
  readonly type: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: TarTime;
  readonly major: number;
  readonly minor: number;
}

/** Something in the layers below, open as `O_PATH`. */
export interface Found extends Status {
  readonly fd: number;
}

const STATX_SIZE = 256;
const WALK = O_PATH | O_NOFOLLOW | O_CLOEXEC;

/** What a descriptor leads to. @throws {SyscallError} */
export function statusOf(fd: number): Status {
  const bytes = new Uint8Array(STATX_SIZE);
  syscall("statx", fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, bytes);
  const view = new DataView(bytes.buffer);
  const mode = statx_layout.get(bytes, "stx_mode");
  return {
    type: mode & S_IFMT,
    mode: mode & 0o7777,
    uid: statx_layout.get(bytes, "stx_uid"),
    gid: statx_layout.get(bytes, "stx_gid"),
    size: statx_layout.get(bytes, "stx_size"),
    // struct statx: stx_mtime at 112, stx_rdev_major and _minor at 128.
    mtime: {
      seconds: Number(view.getBigInt64(112, true)),
      nanoseconds: view.getUint32(120, true),
    },
    major: view.getUint32(128, true),
    minor: view.getUint32(132, true),
  };
}

/** Where a symbolic link leads, by a descriptor of itself. @throws {SyscallError} */
export function targetOf(fd: number): ByteString {
  const bytes = new Uint8Array(4096);
  return byteString(bytes.subarray(0, syscall("readlinkat", fd, "", bytes, bytes.length)));
}

/** The extended attributes of an open file that begin with `user.`. */
export function userXattrs(fd: number): Map<ByteString, Uint8Array<ArrayBuffer>> {
  const names = new Uint8Array(65536);
  const length = trySyscall("flistxattr", fd, names, names.length);
  const xattrs = new Map<ByteString, Uint8Array<ArrayBuffer>>();
  for (const name of byteString(names, 0, Math.max(length, 0)).split("\0")) {
    if (name !== "security.capability" && !name.startsWith("user.")) continue;
    const value = new Uint8Array(65536);
    const size = trySyscall("fgetxattr", fd, bytesOf(name, 1), value, value.length);
    if (size >= 0) xattrs.set(name, value.slice(0, size));
  }
  return xattrs;
}

/** The layers below, seen together as overlayfs shows them. */
export class Lowers {
  readonly #roots: number[] = [];
  readonly #mark: string;

  /** @param directories the uppermost first. @throws {SyscallError} */
  constructor(directories: readonly string[], overlay: OverlayXattrs) {
    this.#mark = opaqueMark(overlay);
    try {
      for (const path of directories) {
        this.#roots.push(open(path, O_PATH | O_DIRECTORY));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get isEmpty(): boolean {
    return this.#roots.length === 0;
  }

  /** Descriptors of the layers' roots, the uppermost first. */
  get roots(): readonly number[] {
    return this.#roots;
  }

  /** What is at a path without links in it; undefined when nothing is. Its `fd` is the caller's to close. */
  find(path: ByteString): Found | undefined {
    const names = path.split("/");
    for (const root of this.#roots) {
      const found = this.#findIn(root, names);
      if (found === "hidden") return undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** "hidden": nothing is there, whatever the layers below have. */
  #findIn(root: number, names: readonly ByteString[]): Found | "hidden" | undefined {
    let at = root;
    let isOpaque = false;
    for (let i = 0; i < names.length; i++) {
      const next = trySyscall("openat", at, bytesOf(names[i]!, 1), WALK, 0);
      if (at !== root) close(at);
      if (next === -ENOENT || next === -ENOTDIR) return isOpaque ? "hidden" : undefined;
      if (next < 0) throw new SyscallError("openat", -next);
      at = next;
      const status = statusOf(at);
      const isLast = i === names.length - 1;
      const isWhiteout = status.type === S_IFCHR && status.major === 0 && status.minor === 0;
      if (isWhiteout || !isLast && status.type !== S_IFDIR) {
        close(at);
        return "hidden";
      }
      if (isLast) return { ...status, fd: at };
      isOpaque ||= this.#isOpaque(at);
    }
    return undefined;
  }

  #isOpaque(fd: number): boolean {
    // An O_PATH descriptor has no attributes.
    const real = trySyscall("openat", fd, ".", O_DIRECTORY | O_CLOEXEC, 0);
    if (real < 0) return false;
    const value = new Uint8Array(1);
    const size = trySyscall("fgetxattr", real, this.#mark, value, 1);
    close(real);
    return size === 1 && value[0] === 0x79;
  }

  /** Closes the layers. */
  close(): void {
    for (const root of this.#roots) close(root);
    this.#roots.length = 0;
  }
}
