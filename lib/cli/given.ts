import { CrateError } from "../errors.ts";

/** What is wrong with a file that somebody has named, by the code of Deno's error. */
const WHY: Readonly<Record<string, string>> = {
  EISDIR: "it is a directory",
  ENOENT: "it is not there",
  ENOTDIR: "it lies below a file",
  EACCES: "permission denied",
};

/** The text of a file that an option names, by Deno and its permissions. @throws {CrateError} `INVALID` */
export function readGiven(option: string, file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const code = "code" in cause ? String(cause.code) : "";
    const why = WHY[code] ?? cause.message;
    throw new CrateError("INVALID", `${option} ${file} cannot be read: ${why}`, { cause });
  }
}
