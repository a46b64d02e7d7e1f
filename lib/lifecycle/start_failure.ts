import { isMissing, readFile, unlink } from "../../ffi/mod.ts";
import { RECORD_SIZE } from "./program/mod.ts";

// A container's start may be walked without Deno, see verbs.ts: what failed in it is told by a crate that comes after.

/** Where the init's record of a failed start is put. */
export const startFailurePath = (directory: string) => `${directory}/start-failed`;

/** What failed in a start that was walked, as the init has told it; once. @throws {SyscallError} */
export function takeStartFailure(directory: string): Uint8Array<ArrayBuffer> | undefined {
  const file = startFailurePath(directory);
  try {
    const record = readFile(file, RECORD_SIZE);
    unlink(file);
    return record.length < RECORD_SIZE ? undefined : record;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
