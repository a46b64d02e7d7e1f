import { CrateError } from "../../errors.ts";
import { type ByteString, byteString, quoted } from "./bytes.ts";
import type { TarTime } from "./entry.ts";
import { decimal } from "./numbers.ts";

// pax(1), "pax Extended Header": records `LENGTH KEY=VALUE\n`. The value may hold any byte.

/** XATTR_NAME_MAX and XATTR_SIZE_MAX of linux/limits.h. */
const XATTR_NAME = 255;
const XATTR_VALUE = 65536;
/** Bytes of all of a member's attributes. */
const XATTR_TOTAL = 1 << 20;

/** What the records of a header say. What none says is undefined. */
export interface PaxHeader {
  path?: ByteString | undefined;
  linkPath?: ByteString | undefined;
  size?: number | undefined;
  uid?: number | undefined;
  gid?: number | undefined;
  mtime?: TarTime | undefined;
  xattrs?: Map<ByteString, Uint8Array<ArrayBuffer>> | undefined;
  sparse?: PaxSparse | undefined;
}

/** GNU's sparse files in pax headers: versions 0.0, 0.1 and 1.0 of the GNU tar manual, "Sparse Formats". */
export interface PaxSparse {
  major?: string;
  minor?: string;
  name?: ByteString;
  /** The file's size, its holes included. */
  size?: number;
  /** Offset, length, offset, length... */
  map?: number[];
}

/** How much is taken. */
export interface PaxLimits {
  readonly xattrs: number;
  readonly sparsePieces: number;
}

/**
 * Reads the records of `bytes[start..end]`.
 *
 * @throws {CrateError} `INVALID`; the sentence says what is wrong, not where.
 */
export function parsePax(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: PaxLimits,
): PaxHeader {
  const header: PaxHeader = {};
  let at = start;
  while (at < end) {
    let length = 0;
    let cursor = at;
    for (; cursor < end && bytes[cursor] !== 0x20; cursor++) {
      const digit = bytes[cursor]! - 0x30;
      if (digit < 0 || digit > 9 || cursor - at > 7) throw invalid("a record without a length");
      length = length * 10 + digit;
    }
    const next = at + length;
    // The shortest is `5 a=` and the line's end.
    if (next > end || next <= cursor + 3 || bytes[next - 1] !== 0x0a) {
      throw invalid("a record whose length does not lead to its end");
    }
    const equals = bytes.indexOf(0x3d, cursor + 1);
    if (equals <= cursor + 1 || equals >= next - 1) throw invalid("a record without a keyword");
    apply(header, byteString(bytes, cursor + 1, equals), bytes, equals + 1, next - 1, limits);
    at = next;
  }
  return header;
}

function apply(
  header: PaxHeader,
  key: string,
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: PaxLimits,
): void {
  // An empty value takes back what was said of the keyword: the plain header counts.
  const empty = start === end;
  switch (key) {
    case "atime":
    case "ctime":
    case "comment":
    case "uname":
    case "gname":
      return;
    case "path":
      header.path = empty ? undefined : name(key, bytes, start, end);
      return;
    case "linkpath":
      header.linkPath = empty ? undefined : name(key, bytes, start, end);
      return;
    case "size":
      header.size = empty ? undefined : count(key, bytes, start, end);
      return;
    case "uid":
      header.uid = empty ? undefined : count(key, bytes, start, end);
      return;
    case "gid":
      header.gid = empty ? undefined : count(key, bytes, start, end);
      return;
    case "mtime":
      header.mtime = empty
        ? undefined
        : parseTime(byteString(bytes, start, Math.min(end, start + 64)));
      return;
  }
  if (key.startsWith("SCHILY.xattr.")) {
    setXattr(header, key.slice(13), bytes.slice(start, end) as Uint8Array<ArrayBuffer>, limits);
  } else if (key.startsWith("LIBARCHIVE.xattr.")) {
    const attribute = percentDecoded(key.slice(17));
    // libarchive writes both forms, and the other one is the plainer.
    if (header.xattrs?.has(attribute)) return;
    setXattr(header, attribute, base64(byteString(bytes, start, end)), limits);
  } else if (key.startsWith("GNU.sparse.")) {
    applySparse(header.sparse ??= {}, key.slice(11), bytes, start, end, limits);
  }
}

function applySparse(
  sparse: PaxSparse,
  key: string,
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: PaxLimits,
): void {
  switch (key) {
    case "major":
    case "minor":
      sparse[key] = byteString(bytes, start, Math.min(end, start + 8));
      return;
    case "name":
      sparse.name = name("GNU.sparse.name", bytes, start, end);
      return;
    case "size":
    case "realsize":
      sparse.size = count(`GNU.sparse.${key}`, bytes, start, end);
      return;
    case "offset":
    case "numbytes": {
      const map = sparse.map ??= [];
      if ((map.length % 2 === 0) !== (key === "offset")) {
        throw invalid("GNU.sparse.offset and GNU.sparse.numbytes that are not pairs");
      }
      if (map.length >= 2 * limits.sparsePieces) throw tooManyPieces(limits.sparsePieces);
      map.push(count(`GNU.sparse.${key}`, bytes, start, end));
      return;
    }
    case "map": {
      const map: number[] = [];
      for (let at = start; at < end;) {
        let comma = at;
        while (comma < end && bytes[comma] !== 0x2c) comma++;
        if (map.length >= 2 * limits.sparsePieces) throw tooManyPieces(limits.sparsePieces);
        map.push(count("GNU.sparse.map", bytes, at, comma));
        at = comma + 1;
      }
      sparse.map = map;
    }
  }
}

/** A name, which no NUL may be in: the system calls would see another one than we do. */
function name(key: string, bytes: Uint8Array, start: number, end: number): ByteString {
  const text = byteString(bytes, start, end);
  if (text.includes("\0")) throw invalid(`a NUL in ${key}`);
  return text;
}

function count(key: string, bytes: Uint8Array, start: number, end: number): number {
  const value = decimal(byteString(bytes, start, Math.min(end, start + 24)));
  if (Number.isNaN(value)) throw invalid(`${key} is not a number`);
  return value;
}

function setXattr(
  header: PaxHeader,
  attribute: ByteString,
  value: Uint8Array<ArrayBuffer>,
  limits: PaxLimits,
): void {
  if (attribute === "" || attribute.length > XATTR_NAME || attribute.includes("\0")) {
    throw invalid(`an extended attribute's name that is none: ${quoted(attribute)}`);
  }
  if (value.length > XATTR_VALUE) {
    throw invalid(`the extended attribute ${quoted(attribute)} has more than ${XATTR_VALUE} bytes`);
  }
  const xattrs = header.xattrs ??= new Map();
  xattrs.set(attribute, value);
  if (xattrs.size > limits.xattrs) throw invalid(`more than ${limits.xattrs} extended attributes`);
  if (xattrs.size > XATTR_TOTAL / XATTR_VALUE) {
    let total = 0;
    for (const bytes of xattrs.values()) total += bytes.length;
    if (total > XATTR_TOTAL) throw invalid(`extended attributes of more than ${XATTR_TOTAL} bytes`);
  }
}

/**
 * `-1.5`: decimal seconds, any number of digits after the point; what is finer than a nanosecond is cut.
 *
 * @throws {CrateError} `INVALID`
 */
export function parseTime(text: string): TarTime {
  const match = /^(-?)([0-9]{1,16})(?:\.([0-9]*))?$/.exec(text);
  const whole = match === null ? NaN : decimal(match[2]!);
  if (match === null || Number.isNaN(whole)) throw invalid(`mtime is not a time: ${quoted(text)}`);
  const nanoseconds = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (match[1] === "") return { seconds: whole, nanoseconds };
  return nanoseconds === 0
    ? { seconds: 0 - whole, nanoseconds }
    : { seconds: -whole - 1, nanoseconds: 1e9 - nanoseconds };
}

/** libarchive's attribute names: `%20` for a byte that is not plain. */
function percentDecoded(text: string): ByteString {
  return text.replace(
    /%([0-9A-Fa-f]{2})/g,
    (_, digits) => String.fromCharCode(parseInt(digits, 16)),
  );
}

function base64(text: string): Uint8Array<ArrayBuffer> {
  try {
    const plain = atob(text);
    return Uint8Array.from(plain, (character) => character.charCodeAt(0));
  } catch {
    throw invalid("an extended attribute that is not base64");
  }
}

export function tooManyPieces(limit: number): CrateError {
  return invalid(`a sparse file of more than ${limit} pieces`);
}

function invalid(what: string): CrateError {
  return new CrateError("INVALID", what);
}
