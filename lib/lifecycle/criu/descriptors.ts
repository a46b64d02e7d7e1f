import {
  AT_FDCWD,
  decodeText,
  STATX_BASIC_STATS,
  statx_layout,
  syscall,
  trySyscall,
} from "../../../ffi/mod.ts";
import { mountIdOf, type MountLine } from "./mounts.ts";

// The first three descriptors of the init: what they were before, which criu knows by a name, and what the restored
// container gets in their place.

/** What of a container's standard descriptors goes into images. */
export interface Descriptors {
  /** The three's names: of a pipe `pipe:[1234]`, of a file outside of the container `file[2a:1f]`. */
  readonly names: readonly string[];
  /** Those that criu must be told of. */
  readonly external: readonly string[];
}

/** One descriptor for criu to use in the place of another: `inherit_fd` of its options. */
export interface Inherited {
  readonly key: string;
  readonly fd: number;
}

/** @throws {SyscallError} when the init has ended. */
export function describe(pid: number, mounts: ReadonlyMap<number, MountLine>): Descriptors {
  const names: string[] = [];
  const external = new Set<string>();
  for (const fd of [0, 1, 2]) {
    const link = `/proc/${pid}/fd/${fd}`;
    const target = new Uint8Array(4096);
    const length = trySyscall("readlinkat", AT_FDCWD, link, target, target.length);
    // It may have closed it.
    let name = length < 0 ? "" : decodeText(target.subarray(0, length));
    if (name.startsWith("/")) {
      const id = mountIdOf(pid, fd);
      if (id !== undefined && !mounts.has(id)) {
        name = `file[${id.toString(16)}:${inode(link).toString(16)}]`;
        external.add(name);
      }
    }
    names.push(name);
  }
  return { names, external: [...external] };
}

/** Through the link, of the very file. */
function inode(link: string): bigint {
  const buffer = new Uint8Array(256);
  syscall("statx", AT_FDCWD, link, 0, STATX_BASIC_STATS, buffer);
  return new DataView(buffer.buffer).getBigUint64(statx_layout.offset("stx_ino"), true);
}

/**
 * What takes the place of the descriptors that lead out of the container.
 *
 * @example
 * ```ts
 * import { inheritedOf } from "./descriptors.ts";
 * const inherited = inheritedOf(["/dev/null", "pipe:[7]", "pipe:[7]"]);
 * if (JSON.stringify(inherited) !== '[{"key":"pipe:[7]","fd":1}]') throw new Error();
 * ```
 */
export function inheritedOf(names: readonly string[]): Inherited[] {
  const byKey = new Map<string, number>();
  names.forEach((key, fd) => {
    const leads = /^pipe:\[\d+\]$|^file\[[0-9a-f]+:[0-9a-f]+\]$/.test(key);
    if (leads && !byKey.has(key)) byKey.set(key, fd);
  });
  return [...byKey].map(([key, fd]) => ({ key, fd }));
}
