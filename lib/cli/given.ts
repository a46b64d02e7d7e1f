import { readText, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";

/** What is wrong with a file that somebody has named, where the error says no more than its name. */
const WHY: Readonly<Record<string, string>> = {
  EISDIR: "it is a directory",
  ENOENT: "it is not there",
  ENOTDIR: "it lies below a file",
  EACCES: "permission denied",
};

/** The text of a file that an option names. @throws {CrateError} `INVALID` */
export function readGiven(option: string, file: string): string {
  try {
    return readText(file);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    const why = WHY[cause.code] ?? cause.code;
    throw new CrateError("INVALID", `${option} ${file} cannot be read: ${why}`, { cause });
  }
}
