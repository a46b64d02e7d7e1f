import { CrateError } from "../errors.ts";
import { type ContainerState, findId, listIds, readState } from "../lifecycle/mod.ts";
import { log } from "./log.ts";
import { print } from "./print.ts";

/**
 * Does something with each container that was named, prints the word when it is done, and goes on
 * after one that fails, as docker does. For an engine's containers nothing is printed, as runc.
 *
 * @param act is given the container's id and how it was when it was looked for.
 * @returns the exit code: the last failure's.
 */
export async function forEachContainer(
  root: string,
  words: readonly string[],
  act: (id: string, before: ContainerState | undefined) => Promise<void>,
): Promise<number> {
  let code = 0;
  for (const word of words) {
    try {
      const id = findId(root, word);
      const before = readState(root, id);
      await act(id, before);
      if (before?.record.engine !== true) print(word);
    } catch (error) {
      if (!(error instanceof CrateError)) throw error;
      log("error", error.message);
      code = error.exitCode;
    }
  }
  return code;
}

/**
 * Does something with each thing that was named, and goes on after one that fails.
 *
 * @param isFatal whether a failure is one after which nothing goes on.
 * @returns the exit code: the last failure's.
 */
export async function forEachWord(
  words: readonly string[],
  act: (word: string) => void | Promise<void>,
  isFatal: (error: CrateError) => boolean = () => false,
): Promise<number> {
  let code = 0;
  for (const word of words) {
    try {
      await act(word);
    } catch (error) {
      if (!(error instanceof CrateError) || isFatal(error)) throw error;
      log("error", error.message);
      code = error.exitCode;
    }
  }
  return code;
}

/** The state of the container that a word means. @throws {CrateError} `NOT_FOUND`, `INVALID` */
export function stateOf(root: string, word: string): ContainerState {
  const state = readState(root, findId(root, word));
  if (state !== undefined) return state;
  throw new CrateError("NOT_FOUND", `container "${word}" does not exist: crate list shows them`);
}

/** The ids that a regular expression matches, all or a part of them, as crun's. @throws {CrateError} `INVALID` */
export function matching(root: string, word: string): string[] {
  let pattern: RegExp;
  try {
    pattern = new RegExp(word);
  } catch (cause) {
    throw new CrateError("INVALID", `--regex: ${(cause as Error).message}`, { cause });
  }
  return listIds(root).filter((id) => pattern.test(id)).sort();
}
