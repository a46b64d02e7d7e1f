import { type CallBatch, readText } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { type ByteString, NO_XATTRS, quoted, type TarTime } from "../tar/mod.ts";

/** Steps and data of one entry without its extended attributes: three paths, names, times. */
export const STEPS = 20;
export const DATA = 4 * 4096 + 512;

/** Owner, permissions and times of what is made. */
export interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Absent: left as it is. */
  readonly mtime?: TarTime | undefined;
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array<ArrayBuffer>>;
}

/** What no layer says anything of. */
export const IMPLICIT: Attributes = { mode: 0o755, uid: 0, gid: 0, xattrs: NO_XATTRS };

/** Makes something, and once more when it could not for what stands there. */
export function attempt(calls: CallBatch, at: number, where: number, make: () => void): void {
  const first = calls.length;
  make();
  calls.branch(first, 1, 3);
  calls.call("unlinkat", 1, at, where, 0);
  make();
}

/** The kernel's encoding of a device number in a system call's 32 bits: new_encode_dev. */
export function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
}

/** Bytes of a batch that the attributes need. */
export function xattrRoom({ xattrs }: Attributes): number {
  let room = DATA;
  for (const [name, value] of xattrs) room += name.length + 32 + Math.min(value.length, 4096);
  return room;
}

/** An error of an entry. */
export function invalid(path: ByteString, what: string): CrateError {
  return new CrateError("INVALID", `entry ${quoted(path)} ${what}`);
}

/** The process's umask, without changing it for a moment as umask(2) would; all bits when it is not known. */
export function umask(): number {
  try {
    const [, text] = /^Umask:\s*([0-7]+)$/m.exec(readText("/proc/self/status", 4096)) ?? [];
    return text === undefined ? 0o777 : parseInt(text, 8);
  } catch {
    return 0o777;
  }
}
