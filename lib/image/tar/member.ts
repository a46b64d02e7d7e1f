import { CrateError } from "../../errors.ts";
import { type ByteString, byteString, quoted } from "./bytes.ts";
import { BLOCK, NO_XATTRS, type TarEntry, type TarType } from "./entry.ts";
import type { Header } from "./header.ts";
import type { PaxHeader } from "./pax.ts";

// What a member is, from its header and what came before it. The sentences say what is wrong, not where.

/** Types of members that say something of the next one, or are none; POSIX's x and g, GNU's. */
export const TYPE = {
  pax: 0x78, // x
  globalPax: 0x67, // g
  longPath: 0x4c, // L
  longLink: 0x4b, // K
  oldSparse: 0x53, // S
  volumeName: 0x56, // V
} as const;

/** The greatest uid and gid; the next one means "leave it" to chown(2). */
const MAX_ID = 0xfffffffe;

/** A header, and what the members before it say of it. */
export interface Described {
  readonly header: Header;
  readonly pax: PaxHeader | undefined;
  readonly longPath: ByteString | undefined;
  readonly longLink: ByteString | undefined;
}

/** Bytes with their padding to whole blocks. */
export function roundedUp(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/** A long name's bytes, up to their NUL. */
export function nameIn(bytes: Uint8Array, start: number, end: number): ByteString {
  const nul = bytes.subarray(start, end).indexOf(0);
  return byteString(bytes, start, nul < 0 ? end : start + nul);
}

/** The member's name: GNU's long one before pax's. */
export function pathOf({ header, pax, longPath }: Described): ByteString {
  return pax?.sparse?.name ?? longPath ?? pax?.path ?? header.path;
}

/** @throws {CrateError} `INVALID` for a type that nobody knows. */
export function typeOf(described: Described): TarType {
  const { header, pax } = described;
  switch (header.type) {
    case 0:
      // Before there was a type for it a slash at the end made a directory.
      return pathOf(described).endsWith("/") ? "directory" : "file";
    case 0x30:
      return pathOf(described).endsWith("/") && (pax?.size ?? header.size) === 0
        ? "directory"
        : "file";
    case 0x37: // contiguous
      return "file";
    case 0x31:
      return "hardlink";
    case 0x32:
      return "symlink";
    case 0x33:
      return "character";
    case 0x34:
      return "block";
    case 0x35:
      return "directory";
    case 0x36:
      return "fifo";
  }
  throw invalid(`a member of an unknown type, ${quoted(String.fromCharCode(header.type))}`);
}

/** The entry as a whole, checked. @throws {CrateError} `INVALID` */
export function entryOf(
  described: Described,
  type: TarType,
  size: number,
  maxPath: number,
): TarEntry {
  const { header, pax, longLink } = described;
  const isLink = type === "symlink" || type === "hardlink";
  const isDevice = type === "character" || type === "block";
  const entry: TarEntry = {
    type,
    path: pathOf(described),
    linkPath: isLink ? longLink ?? pax?.linkPath ?? header.linkPath : "",
    mode: header.mode & 0o7777,
    uid: pax?.uid ?? header.uid,
    gid: pax?.gid ?? header.gid,
    size,
    mtime: pax?.mtime ?? { seconds: header.mtime, nanoseconds: 0 },
    major: isDevice ? header.major : 0,
    minor: isDevice ? header.minor : 0,
    xattrs: pax?.xattrs ?? NO_XATTRS,
  };
  check(entry, header, maxPath);
  return entry;
}

function check(entry: TarEntry, header: Header, maxPath: number): void {
  if (entry.path === "") throw invalid("a member without a name");
  if (entry.path.length > maxPath || entry.linkPath.length > maxPath) {
    throw invalid(`a path of more than ${maxPath} bytes`);
  }
  if (entry.linkPath === "" && (entry.type === "symlink" || entry.type === "hardlink")) {
    throw invalid("a link to nothing");
  }
  if (Number.isNaN(header.mode)) throw invalid("its mode is not a number");
  if (!(entry.uid >= 0 && entry.uid <= MAX_ID)) throw invalid("its uid is none");
  if (!(entry.gid >= 0 && entry.gid <= MAX_ID)) throw invalid("its gid is none");
  if (Number.isNaN(entry.mtime.seconds)) throw invalid("its mtime is not a number");
  // Linux: 12 bits and 20.
  if (!(entry.major >= 0 && entry.major < 1 << 12 && entry.minor >= 0 && entry.minor < 1 << 20)) {
    throw invalid("its device number is none");
  }
}

function invalid(what: string): CrateError {
  return new CrateError("INVALID", what);
}
