import { globalOptions } from "./globals.ts";
import { parseWords, wordAfter } from "./parse.ts";
import type { CommandTable, Parsed } from "./table.ts";

/**
 * The modules of the commands that are called for each container: such a one has its command's table as well, and so
 * loads nothing of all the others.
 */
export const verbModules: Readonly<
  Record<string, () => Promise<{ readonly table: CommandTable }>>
> = {
  state: () => import("../commands/state.ts"),
  start: () => import("../commands/start.ts"),
  kill: () => import("../commands/kill.ts"),
  delete: () => import("../commands/delete.ts"),
  create: () => import("../commands/create.ts"),
  exec: () => import("../commands/exec.ts"),
  run: () => import("../commands/run.ts"),
  pull: () => import("../commands/pull.ts"),
};

/** The command that the words are of, if it is one of these. */
export function verbOf(argv: readonly string[]): string | undefined {
  const word = wordAfter(globalOptions, argv);
  return word !== undefined && Object.hasOwn(verbModules, word) ? word : undefined;
}

/**
 * Reads a command line of one of these commands.
 *
 * @returns undefined for anything that cannot simply be run: then the whole command line is worth loading, in which
 *   the words mean the same.
 */
export async function parseVerb(
  verb: string,
  argv: readonly string[],
): Promise<Parsed | undefined> {
  const { table } = await verbModules[verb]!();
  return parseWords({
    name: "crate",
    summary: "",
    usage: "",
    options: globalOptions,
    commands: [table],
    groups: [],
    examples: [],
  }, argv);
}
