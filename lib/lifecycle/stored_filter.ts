import { createFile, isMissing, readFile } from "../../ffi/mod.ts";
import type { SeccompFilter } from "../security/mod.ts";

// A container's filter as it was compiled at its start, for `exec`: an engine executes something every few seconds, to see
// whether a container is healthy, and compiling its profile takes longer than all else of that.

const HEADER = 8;
/** seccomp(2) takes no more than 4096 instructions of eight bytes. */
const MAX = HEADER + 8 * 4096;

const pathIn = (directory: string) => `${directory}/filter`;

/** Puts a filter into a container's directory. @throws {SyscallError} */
export function storeFilter(directory: string, filter: SeccompFilter): void {
  createFile(pathIn(directory), filterFile(filter), 0o600);
}

/** What stands in its file: flags and length, then the instructions. */
export function filterFile({ filter, flags }: SeccompFilter): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER + filter.length);
  new Uint32Array(bytes.buffer, 0, 2).set([flags, filter.length]);
  bytes.set(filter, HEADER);
  return bytes;
}

/** The filter in a container's directory; undefined where none was put, or not all of it. @throws {SyscallError} */
export function storedFilter(directory: string): SeccompFilter | undefined {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = readFile(pathIn(directory), MAX);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  if (bytes.length < HEADER) return undefined;
  const [flags, length] = new Uint32Array(bytes.slice(0, HEADER).buffer) as unknown as [
    number,
    number,
  ];
  const filter = bytes.slice(HEADER);
  return filter.length === length ? { filter, flags } : undefined;
}
