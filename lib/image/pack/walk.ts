import {
  AT_EMPTY_PATH,
  close,
  EINTR,
  ENXIO,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  open,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  STATX_BASIC_STATS,
  statx_layout,
  STATX_MNT_ID,
  syscall,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { IdMaps } from "../../spec/mod.ts";
import {
  bytesOf,
  type ByteString,
  byteString,
  NO_XATTRS,
  quoted,
  type TarEntry,
  type TarType,
} from "../tar/mod.ts";
import { CAPABILITY, everywhere, inside } from "./ids.ts";
import { isKept, namesIn, opaqueMark, type OverlayXattrs } from "../unpack/mod.ts";

// A directory tree as the entries of an archive. What lies in it is a stranger's, who may change it meanwhile: every
// name is opened by a descriptor of its directory, links are read and never followed, nothing but a regular
// file is opened for reading.

type Bytes = Uint8Array<ArrayBuffer>;

/** What is met on the way: an entry, pieces of its content in rising order, its end. */
export type WalkEvent =
  | { readonly type: "entry"; readonly entry: TarEntry }
  | { readonly type: "data"; readonly bytes: Bytes; readonly offset: number }
  | { readonly type: "end" };

/** How a tree is walked. */
export interface WalkOptions {
  /** The tree is an overlay's upper directory: its marks become those of a layer. */
  readonly overlay?: OverlayXattrs;
  /**
   * Whether to go into what is mounted in the tree. Default: not, and it shows as an empty directory.
   *
   * @param fd of the mount's root, `O_PATH`.
   */
  readonly enters?: (fd: number) => boolean;
  /** By which maps its files have the host's ids: the archive has the container's. */
  readonly ids?: IdMaps;
}

const CHUNK = 1 << 18;
const PATH_MAX = 4096;
const S_IFLNK = 0o120000;
/** lseek(2) */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

const TYPES: ReadonlyMap<number, TarType> = new Map([
  [S_IFREG, "file"],
  [S_IFDIR, "directory"],
  [S_IFLNK, "symlink"],
  [S_IFCHR, "character"],
  [S_IFBLK, "block"],
  [S_IFIFO, "fifo"],
]);

interface Looked {
  readonly type: number;
  readonly links: number;
  /** Device and number: the same for two names of one file. */
  readonly identity: string;
  readonly mount: bigint;
  readonly attributes: Pick<TarEntry, "mode" | "uid" | "gid" | "mtime" | "major" | "minor">;
  readonly size: number;
}

interface Frame {
  readonly fd: number;
  readonly path: ByteString;
  readonly names: ByteString[];
}

/**
 * Walks a tree, each directory before what is in it, names in their bytes' order. The root itself is not among the
 * entries; neither are sockets, nor what is mounted in it (which shows as an empty directory).
 *
 * @param root a descriptor of the tree's root, `O_PATH` or not; it stays the caller's.
 * @throws {CrateError} `INVALID` for what no archive can have. @throws {SyscallError}
 */
export function* walkTree(root: number, options: WalkOptions = {}): Generator<WalkEvent> {
  yield* walkBelow(root, "", options);
}

/**
 * Walks one thing, whatever it is, under a name: a directory with all below it, or a file.
 *
 * @param fd a descriptor of it, `O_PATH`; it stays the caller's.
 * @throws {CrateError} `INVALID` for a socket. @throws {SyscallError}
 */
export function* walkEntry(
  fd: number,
  name: ByteString,
  options: WalkOptions = {},
): Generator<WalkEvent> {
  const looked = lookInside(fd, options.ids);
  const type = TYPES.get(looked.type);
  if (type === undefined) {
    throw new CrateError("INVALID", `${quoted(name)} is a socket, which cannot be copied`);
  }
  if (type !== "directory") {
    return yield* leaf(fd, name, type, looked, { seen: new Map(), ids: options.ids });
  }
  const inner = dup(fd);
  try {
    yield entryOf(`${name}/`, type, looked, { xattrs: xattrsOf(inner) });
  } finally {
    close(inner);
  }
  yield { type: "end" };
  yield* walkBelow(fd, name, options);
}

function* walkBelow(
  root: number,
  prefix: ByteString,
  { overlay, enters, ids }: WalkOptions,
): Generator<WalkEvent> {
  const { mount } = look(root);
  const seen = new Map<string, ByteString>();
  const frames: Frame[] = [{ fd: dup(root), path: prefix, names: sorted(root) }];
  try {
    while (frames.length > 0) {
      const { fd: parent, path: above, names } = frames.at(-1)!;
      const name = names.pop();
      if (name === undefined) {
        close(frames.pop()!.fd);
        continue;
      }
      const fd = trySyscall("openat", parent, bytesOf(name, 1), O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
      // Gone meanwhile, or a name that nobody can open.
      if (fd < 0) continue;
      try {
        const path = above === "" ? name : `${above}/${name}`;
        if (path.length >= PATH_MAX - 1) {
          throw new CrateError("INVALID", `${quoted(path)} is too long a path for an archive`);
        }
        const looked = lookInside(fd, ids);
        const type = TYPES.get(looked.type);
        if (type === undefined) continue;
        if (overlay !== undefined && isWhiteout(looked)) {
          const hidden = above === "" ? `${WHITEOUT}${name}` : `${above}/${WHITEOUT}${name}`;
          yield* mark(hidden, looked);
          continue;
        }
        if (overlay !== undefined && name.startsWith(WHITEOUT)) {
          throw new CrateError(
            "INVALID",
            `${quoted(path)} cannot be in a layer: .wh. names what it hides`,
          );
        }
        const isOther = looked.mount !== mount && !enters?.(fd);
        if (type !== "directory") {
          // A file that is mounted on one is read only where mounts are gone into.
          if (!isOther || enters === undefined) yield* leaf(fd, path, type, looked, { seen, ids });
          continue;
        }
        const inner = isOther
          ? -1
          : trySyscall("openat", fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        const xattrs = inner < 0 ? NO_XATTRS : xattrsOf(inner, ids);
        yield entryOf(`${path}/`, type, looked, { xattrs });
        yield { type: "end" };
        if (inner < 0) continue;
        if (overlay !== undefined && isOpaque(inner, overlay)) {
          yield* mark(`${path}/${OPAQUE}`, looked);
        }
        frames.push({ fd: inner, path, names: sorted(inner) });
      } finally {
        close(fd);
      }
    }
  } finally {
    for (const { fd } of frames) close(fd);
  }
}

/** What no content and no other names has, a file with both, or another name of one. */
function lookInside(fd: number, ids: IdMaps | undefined): Looked {
  const found = look(fd);
  return ids === undefined ? found : { ...found, attributes: inside(found, ids) };
}

function* leaf(
  fd: number,
  path: ByteString,
  type: TarType,
  looked: Looked,
  { seen, ids }: { readonly seen: Map<string, ByteString>; readonly ids?: IdMaps },
): Generator<WalkEvent> {
  const first = looked.links > 1 ? seen.get(looked.identity) : undefined;
  if (first !== undefined) {
    yield entryOf(path, "hardlink", looked, { linkPath: first });
    yield { type: "end" };
    return;
  }
  if (looked.links > 1) seen.set(looked.identity, path);
  if (type !== "file") {
    yield entryOf(path, type, looked, type === "symlink" ? { linkPath: targetOf(fd) } : {});
    yield { type: "end" };
    return;
  }
  // The descriptor's link leads to the file that was looked at, whoever has its name by now.
  const file = open(`/proc/self/fd/${fd}`, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  try {
    yield entryOf(path, type, looked, { size: looked.size, xattrs: xattrsOf(file, ids) });
    yield* content(file, looked.size);
    yield { type: "end" };
  } finally {
    close(file);
  }
}

/** A file's content without its holes, and never more than the size that was told. */
function* content(fd: number, size: number): Generator<WalkEvent> {
  for (let at = 0; at < size;) {
    const start = trySyscall("lseek", fd, at, SEEK_DATA);
    if (start === -ENXIO) return;
    const from = start < 0 ? at : start;
    const hole = start < 0 ? size : trySyscall("lseek", fd, from, SEEK_HOLE);
    const end = Math.min(size, hole < 0 ? size : hole);
    for (at = from; at < end;) {
      const bytes = new Uint8Array(Math.min(CHUNK, end - at));
      const count = trySyscall("pread64", fd, bytes, bytes.length, at);
      if (count === -EINTR) continue;
      if (count < 0) throw new SyscallError("pread64", -count);
      // It has become shorter: the rest reads as zeros.
      if (count === 0) return;
      yield { type: "data", bytes: bytes.subarray(0, count), offset: at };
      at += count;
    }
  }
}

function* mark(path: ByteString, looked: Looked): Generator<WalkEvent> {
  const { mtime } = looked.attributes;
  const attributes = { mode: 0, uid: 0, gid: 0, mtime, major: 0, minor: 0 };
  yield entryOf(path, "file", { ...looked, attributes }, {});
  yield { type: "end" };
}

function entryOf(
  path: ByteString,
  type: TarType,
  { attributes }: Looked,
  more: Partial<TarEntry>,
): WalkEvent {
  const isDevice = type === "character" || type === "block";
  const device = isDevice ? {} : { major: 0, minor: 0 };
  const entry = { linkPath: "", size: 0, xattrs: NO_XATTRS, ...attributes, ...device, ...more };
  return { type: "entry", entry: { ...entry, path, type } };
}

/** From the last to the first: they are taken from the end. */
function sorted(fd: number): ByteString[] {
  return namesIn(fd).sort((a, b) => a < b ? 1 : -1);
}

function dup(fd: number): number {
  return syscall("openat", fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

function look(fd: number): Looked {
  const bytes = new Uint8Array(256);
  syscall("statx", fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, bytes);
  const view = new DataView(bytes.buffer);
  const mode = statx_layout.get(bytes, "stx_mode");
  // struct statx: stx_mtime at 112, stx_rdev at 128, stx_dev at 136, stx_mnt_id at 144.
  const device = `${view.getUint32(136, true)}:${view.getUint32(140, true)}`;
  return {
    type: mode & S_IFMT,
    links: statx_layout.get(bytes, "stx_nlink"),
    identity: `${device}:${statx_layout.get(bytes, "stx_ino")}`,
    mount: view.getBigUint64(144, true),
    attributes: {
      mode: mode & 0o7777,
      uid: statx_layout.get(bytes, "stx_uid"),
      gid: statx_layout.get(bytes, "stx_gid"),
      mtime: {
        seconds: Number(view.getBigInt64(112, true)),
        nanoseconds: view.getUint32(120, true),
      },
      major: view.getUint32(128, true),
      minor: view.getUint32(132, true),
    },
    size: statx_layout.get(bytes, "stx_size"),
  };
}

function isWhiteout({ type, attributes }: Looked): boolean {
  return type === S_IFCHR && attributes.major === 0 && attributes.minor === 0;
}

function isOpaque(fd: number, overlay: OverlayXattrs): boolean {
  const value = new Uint8Array(1);
  return trySyscall("fgetxattr", fd, opaqueMark(overlay), value, 1) === 1 && value[0] === 0x79;
}

function targetOf(fd: number): ByteString {
  const bytes = new Uint8Array(PATH_MAX);
  return byteString(bytes.subarray(0, syscall("readlinkat", fd, "", bytes, bytes.length)));
}

/** Those that a layer can have. */
function xattrsOf(fd: number, ids?: IdMaps): ReadonlyMap<ByteString, Bytes> {
  const names = new Uint8Array(65536);
  const length = trySyscall("flistxattr", fd, names, names.length);
  if (length <= 0) return NO_XATTRS;
  const xattrs = new Map<ByteString, Bytes>();
  for (const name of byteString(names, 0, length).split("\0")) {
    if (!isKept(name)) continue;
    const value = new Uint8Array(65536);
    const size = trySyscall("fgetxattr", fd, bytesOf(name, 1), value, value.length);
    if (size < 0) continue;
    const isRights = ids !== undefined && name === CAPABILITY;
    xattrs.set(name, isRights ? everywhere(value.slice(0, size)) : value.slice(0, size));
  }
  return xattrs;
}
