import type { ByteString } from "./bytes.ts";

/** What a member of an archive is. */
export type TarType =
  | "file"
  | "directory"
  | "symlink"
  | "hardlink"
  | "character"
  | "block"
  | "fifo";

/** A time as the kernel has it: `nanoseconds` (0 to 999,999,999) are after `seconds`, also before 1970. */
export interface TarTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/**
 * A member's header with all its extensions applied. `path` and `linkPath` are as the archive has them
 * (`./etc/`, `/etc`, `../etc` too): not empty, without NUL, and not to be trusted in anything else.
 */
export interface TarEntry {
  readonly type: TarType;
  /** Bytes as a string, see {@linkcode ByteString}. */
  readonly path: ByteString;
  /** Where a symbolic link points; which member a hard link is another name of. Else empty. */
  readonly linkPath: ByteString;
  /** Permission bits, set-id and sticky bits: 0 to 0o7777. */
  readonly mode: number;
  /** 0 to 2^32-2. */
  readonly uid: number;
  readonly gid: number;
  /** Of a file in bytes, its holes included; of everything else 0. */
  readonly size: number;
  readonly mtime: TarTime;
  /** Of a device. Else 0. */
  readonly major: number;
  readonly minor: number;
  /** Extended attributes by their full names (`security.capability`). */
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array<ArrayBuffer>>;
}

/** What is called while an archive is read, in the archive's order. What it throws ends the reading. */
export interface TarHandler {
  /** A member begins. The entry may be kept. */
  entry(entry: TarEntry): void;
  /**
   * A piece of the content of the file that `entry` told of. It is a view of what was pushed, to be used
   * before this returns. `offset` is its position in the file: pieces come in rising order without
   * overlap; between them, before the first and after the last one may be holes (which read as zeros).
   */
  data(chunk: Uint8Array<ArrayBuffer>, offset: number): void;
  /** The member is complete. Every `entry` has its `end`, of whatever type it is. */
  end(): void;
}

/** How much of what an archive may have. */
export interface TarLimits {
  /** Members. Default: 10,000,000. */
  readonly entries?: number;
  /** Bytes of one pax header. Default: 1 MiB, which is Go's. */
  readonly paxHeader?: number;
  /** Bytes of a path. Default: 65,536; Linux takes 4096. */
  readonly path?: number;
  /** Pieces of one sparse file. Default: 262,144. */
  readonly sparsePieces?: number;
  /** Extended attributes of a member. Default: 1024. */
  readonly xattrs?: number;
}

/** The limits with their defaults. */
export function withDefaults(limits: TarLimits): Required<TarLimits> {
  return {
    entries: limits.entries ?? 10_000_000,
    paxHeader: limits.paxHeader ?? 1 << 20,
    path: limits.path ?? 1 << 16,
    sparsePieces: limits.sparsePieces ?? 1 << 18,
    xattrs: limits.xattrs ?? 1024,
  };
}

/** No extended attributes. */
export const NO_XATTRS: ReadonlyMap<ByteString, Uint8Array<ArrayBuffer>> = new Map();

/** Bytes of a block: an archive is made of them, tar(5). */
export const BLOCK = 512;
