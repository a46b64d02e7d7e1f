import {
  AT_FDCWD,
  decodeText,
  isMissing,
  readFile,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { statePaths } from "./state.ts";

/** The kind of the file: another one when what is in it, or how programs are encoded, changes. */
export const EXEC_VERB_KIND = "crx1";

/**
 * Puts a running container's exec as a program into its directory, for the launcher (scripts/verbs.sh), if it is not
 * there yet: nobody is told where it cannot be. See exec_verb.ts, which only the first exec in a container needs.
 */
export async function offerExec(root: string, id: string): Promise<void> {
  const { directory } = statePaths(root, id);
  const file = `${directory}/exec`;
  try {
    const there = kindOf(file);
    if (there === EXEC_VERB_KIND) return;
    // An older crate's.
    if (there !== undefined) trySyscall("unlinkat", AT_FDCWD, file, 0);
    const { putExecVerb } = await import("./exec_verb.ts");
    await putExecVerb(root, id, file);
  } catch (error) {
    if (!(error instanceof SyscallError || error instanceof CrateError)) throw error;
  }
}

/** The first letters of a file that is there. @throws {SyscallError} */
function kindOf(file: string): string | undefined {
  try {
    return decodeText(readFile(file, 4));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
