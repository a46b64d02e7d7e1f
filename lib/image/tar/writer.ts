import { encodeText } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { bytesOf, type ByteString, byteString, quoted } from "./bytes.ts";
import { BLOCK, type TarEntry, type TarTime, type TarType } from "./entry.ts";
import { blockSum } from "./header.ts";

const TYPES: Readonly<Record<TarType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/**
 * A member's header, ready to stand before its content: ustar when it can say all, else with a pax header
 * before it (long names, large ids and sizes, parts of a second, extended attributes). The same entry
 * makes the same bytes.
 *
 * The content follows, `entry.size` bytes, then {@linkcode tarPadding}; the archive ends with
 * {@linkcode TAR_END}.
 *
 * @throws {CrateError} `INVALID` for a name or a number that no archive can have.
 *
 * @example
 * ```ts
 * import { NO_XATTRS, TAR_END, tarHeader, tarPadding } from "./mod.ts";
 * const content = new TextEncoder().encode("hello");
 * const header = tarHeader({
 *   type: "file", path: "a", linkPath: "", mode: 0o644, uid: 0, gid: 0, size: content.length,
 *   mtime: { seconds: 0, nanoseconds: 0 }, major: 0, minor: 0, xattrs: NO_XATTRS,
 * });
 * const archive = [header, content, tarPadding(content.length), TAR_END];
 * if (archive.reduce((sum, part) => sum + part.length, 0) !== 2048) throw new Error();
 * ```
 */
export function tarHeader(entry: TarEntry): Uint8Array<ArrayBuffer> {
  if (entry.path === "" || entry.path.includes("\0") || entry.linkPath.includes("\0")) {
    throw new CrateError("INVALID", `${quoted(entry.path)} cannot be a name in a tar archive`);
  }
  for (const [name, least, most] of RANGES) {
    if (Number.isInteger(entry[name]) && entry[name] >= least && entry[name] <= most) continue;
    throw new CrateError("INVALID", `${quoted(entry.path)}: ${name} cannot be ${entry[name]}`);
  }
  const records: [key: string, value: ByteString][] = [];
  const split = splitPath(entry.path);
  if (split === undefined) records.push(["path", entry.path]);
  if (entry.linkPath.length > 100) records.push(["linkpath", entry.linkPath]);
  if (entry.size > MAX_SIZE) records.push(["size", `${entry.size}`]);
  if (entry.uid > MAX_ID) records.push(["uid", `${entry.uid}`]);
  if (entry.gid > MAX_ID) records.push(["gid", `${entry.gid}`]);
  const { seconds, nanoseconds } = entry.mtime;
  if (!Number.isSafeInteger(seconds) || !(nanoseconds >= 0 && nanoseconds < 1e9)) {
    throw new CrateError("INVALID", `${quoted(entry.path)}: mtime is not a time`);
  }
  if (nanoseconds !== 0 || seconds < 0 || seconds > MAX_SIZE) {
    records.push(["mtime", formatTime(entry.mtime)]);
  }
  for (const key of [...entry.xattrs.keys()].sort()) {
    if (key === "" || key.includes("=") || key.includes("\0")) {
      throw new CrateError(
        "INVALID",
        `${quoted(entry.path)}: the extended attribute ${
          quoted(key)
        } has a name that pax cannot write`,
      );
    }
    records.push([`SCHILY.xattr.${key}`, byteString(entry.xattrs.get(key)!)]);
  }
  const [prefix, name] = split ?? ["", entry.path.slice(0, 100)];
  const header = block(entry, TYPES[entry.type], prefix, name, entry.size);
  if (records.length === 0) return header;

  const pax = bytesOf(records.map(([key, value]) => record(key, value)).join(""));
  const paxName = `PaxHeaders/${entry.path.slice(-80).replace(/^\/+/, "")}`.slice(0, 100);
  const paxHeader = block({ ...PLAIN, mtime: entry.mtime }, "x", "", paxName, pax.length);
  const padded = Math.ceil(pax.length / BLOCK) * BLOCK;
  const whole = new Uint8Array(BLOCK + padded + BLOCK);
  whole.set(paxHeader);
  whole.set(pax, BLOCK);
  whole.set(header, BLOCK + padded);
  return whole;
}

/** The zeros that a content of so many bytes has behind it. */
export function tarPadding(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Math.ceil(size / BLOCK) * BLOCK - size);
}

/** What ends an archive: two blocks of zeros. */
export const TAR_END: Uint8Array<ArrayBuffer> = new Uint8Array(2 * BLOCK);

/** What 11 and 7 octal digits can say. */
const MAX_SIZE = 8 ** 11 - 1;
const MAX_ID = 8 ** 7 - 1;

/** As the reader takes them. */
const RANGES = [
  ["mode", 0, 0o7777],
  ["uid", 0, 0xfffffffe],
  ["gid", 0, 0xfffffffe],
  ["size", 0, Number.MAX_SAFE_INTEGER],
  ["major", 0, 0xfff],
  ["minor", 0, 0xfffff],
] as const;

const PLAIN = { mode: 0o644, uid: 0, gid: 0, major: 0, minor: 0, linkPath: "" };

type Plain = Omit<TarEntry, "type" | "path" | "size" | "xattrs">;

function block(
  entry: Plain,
  type: string,
  prefix: ByteString,
  name: ByteString,
  size: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(BLOCK);
  const put = (at: number, text: ByteString) => bytes.set(bytesOf(text), at);
  const octal = (at: number, digits: number, value: number, max: number) =>
    put(at, (value >= 0 && value <= max ? value : 0).toString(8).padStart(digits, "0"));
  put(0, name);
  octal(100, 7, entry.mode, 0o7777);
  octal(108, 7, entry.uid, MAX_ID);
  octal(116, 7, entry.gid, MAX_ID);
  octal(124, 11, size, MAX_SIZE);
  octal(136, 11, entry.mtime.seconds, MAX_SIZE);
  put(156, type);
  put(157, entry.linkPath.slice(0, 100));
  bytes.set(encodeText("ustar\x0000"), 257);
  octal(329, 7, entry.major, MAX_ID);
  octal(337, 7, entry.minor, MAX_ID);
  put(345, prefix);
  put(148, `${blockSum(bytes, 0).toString(8).padStart(6, "0")}\0 `);
  return bytes;
}

/** A path as ustar's prefix and name; undefined when it does not fit. */
function splitPath(path: ByteString): [prefix: ByteString, name: ByteString] | undefined {
  if (path.length <= 100) return ["", path];
  const slash = path.indexOf("/", path.length - 101);
  if (slash <= 0 || slash > 155 || slash === path.length - 1) return undefined;
  return [path.slice(0, slash), path.slice(slash + 1)];
}

/** Decimal seconds, for pax. */
function formatTime({ seconds, nanoseconds }: TarTime): string {
  if (nanoseconds === 0) return `${seconds}`;
  const before = seconds < 0;
  const whole = before ? -(seconds + 1) : seconds;
  const rest = before ? 1e9 - nanoseconds : nanoseconds;
  const fraction = `${rest}`.padStart(9, "0").replace(/0+$/, "");
  return `${before ? "-" : ""}${whole}.${fraction}`;
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function record(key: string, value: ByteString): ByteString {
  const rest = key.length + value.length + 3;
  let length = rest + `${rest}`.length;
  if (`${length}`.length > `${rest}`.length) length = rest + `${length}`.length;
  return `${length} ${key}=${value}\n`;
}
