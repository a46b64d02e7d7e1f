import { scan } from "./scan.ts";
import type { CommandLine, Parsed } from "./table.ts";

/**
 * Reads a command line by docker's rules: global options before the command; `--opt value`,
 * `--opt=value`, `-o value`, `-ovalue`, `-o=value`, flags in one word (`-it`), `--flag=false`; `--`
 * ends the options and `-` is an ordinary word; a repeated option's last value wins unless it is
 * repeatable. Options may stand among the positionals, but for a command whose table says
 * `optionsFirst` everything from its first positional on is taken as it stands.
 *
 * @returns `undefined` for anything that cannot simply be run: a mistake or a wish for help.
 * {@linkcode explainWords} then says which.
 *
 * @example
 * ```ts
 * import { commandLine } from "./commands.ts";
 * import { parseWords } from "./parse.ts";
 * const parsed = parseWords(commandLine, ["stop", "-t", "3", "web"]);
 * if (parsed?.call.options.time !== "3") throw new Error("stop takes -t SECONDS");
 * ```
 */
export function parseWords(line: CommandLine, argv: readonly string[]): Parsed | undefined {
  const result = scan(line, argv);
  return "problem" in result ? undefined : result;
}

/** What to print, and what to exit with, instead of running a command. */
export interface Explanation {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * What to answer to words that {@linkcode parseWords} does not take: the help that they ask for
 * (exit code 0, on stdout), or one sentence about what is wrong with them (2, on stderr).
 *
 * @throws {TypeError} when there is nothing to explain, because the words can be run.
 *
 * @example
 * ```ts
 * import { commandLine } from "./commands.ts";
 * import { explainWords } from "./parse.ts";
 * const { stderr } = await explainWords(commandLine, ["run", "--memry", "1g", "/bin/true"]);
 * if (!stderr.includes("did you mean --memory?")) throw new Error(stderr);
 * ```
 */
export async function explainWords(
  line: CommandLine,
  argv: readonly string[],
): Promise<Explanation> {
  const result = scan(line, argv);
  if (!("problem" in result)) throw new TypeError("these words can be run: nothing to explain");
  // Only here: commander takes 25 ms to load, longer than a container to start.
  const { explain } = await import("./explain.ts");
  return explain(line, result);
}
