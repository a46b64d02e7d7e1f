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
    const done = async () => {
      const id = findId(root, word);
      const before = readState(root, id);
      await act(id, before);
      return before;
    };
    code = await tell(word, done()) || code;
  }
  return code;
}

/**
 * As `forEachContainer`, with all of them at the same time, for what takes its time. The words are still printed, and
 * the failures told, in their order.
 *
 * @param act is also given what is under way, by the containers' ids: all of it, once it has waited for anything.
 * @returns the exit code: the last failure's.
 */
export async function forContainersAtOnce(
  root: string,
  words: readonly string[],
  act: (
    id: string,
    before: ContainerState | undefined,
    underWay: ReadonlyMap<string, Promise<void>>,
  ) => Promise<void>,
): Promise<number> {
  const underWay = new Map<string, Promise<void>>();
  const each = words.map(async (word) => {
    const id = findId(root, word);
    const before = readState(root, id);
    // One that is named twice is one.
    const going = underWay.get(id) ?? act(id, before, underWay);
    underWay.set(id, going);
    await going;
    return before;
  });
  const all = Promise.allSettled(each);
  let code = 0;
  try {
    for (const [i, word] of words.entries()) code = await tell(word, each[i]!) || code;
  } finally {
    // Where nobody reads any more what is printed, what was begun is still brought to its end.
    await all;
  }
  return code;
}

/** Prints a container's word when something is done with it, or tells why it is not. @returns the exit code. */
async function tell(word: string, done: Promise<ContainerState | undefined>): Promise<number> {
  try {
    const before = await done;
    if (before?.record.engine !== true) print(word);
    return 0;
  } catch (error) {
    if (!(error instanceof CrateError)) throw error;
    log("error", error.message);
    return error.exitCode;
  }
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
