import { AT_FDCWD, STATX_BASIC_STATS } from "./constants.ts";
import { trySyscall } from "./libc.ts";

/** A file as it was, by which a program sees whether it still is. */
export interface GuardedFile {
  readonly path: string;
  /** What is to stand in what statx(2) tells of it; absent: it was not there. */
  readonly identity?: readonly { readonly at: number; readonly bytes: Uint8Array }[];
}

const STATX_SIZE = 256;
/** Of `struct statx`: the inode's number and the size; the time of the last change. statx(2) */
const IDENTITY = [{ at: 0x20, size: 16 }, { at: 0x70, size: 12 }] as const;

/**
 * Notes how a file is: one that is replaced, or written, is another one.
 *
 * @example
 * ```ts
 * import { guardFile } from "./mod.ts";
 * if (guardFile("/no/such/file").identity !== undefined) throw new Error();
 * ```
 */
export function guardFile(path: string): GuardedFile {
  const status = new Uint8Array(STATX_SIZE);
  if (trySyscall("statx", AT_FDCWD, path, 0, STATX_BASIC_STATS, status) < 0) return { path };
  const identity = IDENTITY.map(({ at, size }) => ({ at, bytes: status.slice(at, at + size) }));
  return { path, identity };
}
