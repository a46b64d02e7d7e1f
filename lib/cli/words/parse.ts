/**
 * Words to values, by docker's rules. Hand-written, and in plain loops, because it runs before
 * every command, each function for its first and only time: it takes half a millisecond, where
 * loading a parser from npm takes 25.
 *
 * @module
 */
import type { Explanation } from "./explain.ts";
import type {
  CommandLine,
  CommandTable,
  GroupTable,
  OptionTable,
  OptionValue,
  Parsed,
} from "./table.ts";

/** Why a command line is not one that can simply be run. */
export type Problem =
  | { readonly kind: "help" }
  | { readonly kind: "no-command" }
  | { readonly kind: "unknown-command"; readonly word: string }
  | { readonly kind: "unknown-option"; readonly name: string; readonly word: string }
  | { readonly kind: "missing-value"; readonly option: OptionTable }
  | { readonly kind: "bad-value"; readonly option: OptionTable; readonly value: string }
  | { readonly kind: "missing-positional"; readonly name: string }
  | { readonly kind: "excess-positional"; readonly word: string };

/** A problem, and the command, or the group, that it was found in (none: before the command). */
export interface Trouble {
  readonly problem: Problem;
  readonly command?: CommandTable;
  readonly group?: GroupTable;
}

/** The values of options by their names in camel case. */
type Values = Record<string, OptionValue>;

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

/** The first word that is no option and no option's value; undefined where it cannot be told. */
export function wordAfter(
  options: readonly OptionTable[],
  argv: readonly string[],
): string | undefined {
  const globals = scanOptions(options, argv, true);
  return "kind" in globals ? undefined : globals.positionals[0];
}

/** Reads a whole command line: the values of its options, or what is unusual about it. */
function scan(line: CommandLine, argv: readonly string[]): Parsed | Trouble {
  const globals = scanOptions(line.options, argv, true);
  if ("kind" in globals) return { problem: globals };
  const all = globals.values.version === true
    ? ["version", ...globals.positionals]
    : globals.positionals;
  if (all[0] === "help") return scanHelp(line, all.slice(1));
  const found = findCommand(line, all);
  if ("problem" in found) return found;
  const { command, rest } = found;
  const words = scanOptions(command.options, rest, command.optionsFirst === true);
  if ("kind" in words) return { problem: words, command };
  const problem = checkCount(command, words.positionals);
  if (problem) return { problem, command };
  const call = {
    options: words.values,
    positionals: words.positionals,
    // The values were read by the very table that the type of Globals is made of.
    globals: globals.values as unknown as Parsed["call"]["globals"],
  };
  return { command, call };
}

function scanHelp(line: CommandLine, words: readonly string[]): Trouble {
  const help: Problem = { kind: "help" };
  if (words.length === 0) return { problem: help };
  const found = findCommand(line, words);
  if ("problem" in found) {
    const { problem: { kind }, group } = found;
    return kind === "no-command" && group ? { problem: help, group } : found;
  }
  const [excess] = found.rest;
  if (excess !== undefined) return { problem: { kind: "excess-positional", word: excess } };
  return { problem: help, command: found.command };
}

/** The command that the words begin with, and the words after its name. */
function findCommand(
  line: CommandLine,
  words: readonly string[],
): { command: CommandTable; rest: readonly string[] } | Trouble {
  const [name, second] = words;
  if (name === undefined) return { problem: { kind: "no-command" } };
  for (const command of line.commands) {
    if (command.name === name || command.aliases?.includes(name)) {
      return { command, rest: words.slice(1) };
    }
  }
  for (const group of line.groups) {
    if (group.name !== name) continue;
    if (second === undefined) return { problem: { kind: "no-command" }, group };
    if (second === "-h" || second === "--help") return { problem: { kind: "help" }, group };
    if (second === "help") return scanHelp(line, [name, ...words.slice(2)]);
    for (const [other, command] of group.commands) {
      if (other === second) return { command, rest: words.slice(2) };
    }
    return { problem: { kind: "unknown-command", word: second }, group };
  }
  return { problem: { kind: "unknown-command", word: name } };
}

function checkCount({ positionals }: CommandTable, words: readonly string[]): Problem | undefined {
  let variadic = false;
  for (let index = 0; index < positionals.length; index++) {
    const { name, required, variadic: last } = positionals[index]!;
    if (required && index >= words.length) return { kind: "missing-positional", name };
    variadic = last;
  }
  const word = words[positionals.length];
  if (word !== undefined && !variadic) return { kind: "excess-positional", word };
}

/** `first`: the first word that is no option ends the options. */
function scanOptions(
  options: readonly OptionTable[],
  words: readonly string[],
  first: boolean,
): { values: Values; positionals: string[] } | Problem {
  const values: Values = {};
  for (const { long, argument, repeat, default: preset } of options) {
    if (repeat) values[keyOf(long)] = [];
    else if (argument === undefined && preset === undefined) values[keyOf(long)] = false;
  }
  const positionals: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    if (word[0] !== "-" || word === "-") {
      if (first) return { values, positionals: words.slice(index) };
      positionals.push(word);
    } else if (word === "--") {
      positionals.push(...words.slice(index + 1));
      break;
    } else {
      const scanWord = word[1] === "-" ? scanLong : scanShort;
      const taken = scanWord(options, values, word, words[index + 1]);
      if (typeof taken === "object") return taken;
      index += taken;
    }
  }
  return { values, positionals };
}

/** `--memory 1g`, `--memory=1g`. Returns how many words after this one it took. */
function scanLong(
  options: readonly OptionTable[],
  values: Values,
  word: string,
  next: string | undefined,
): 0 | 1 | Problem {
  const equals = word.indexOf("=");
  const name = word.slice(2, equals < 0 ? undefined : equals);
  for (const option of options) {
    if (option.long !== name && option.also !== name) continue;
    return assign(values, option, equals < 0 ? undefined : word.slice(equals + 1), next);
  }
  return name === "help" ? { kind: "help" } : { kind: "unknown-option", name: `--${name}`, word };
}

/** `-m 1g`, `-m1g`, `-m=1g`, `-it`, `-itm1g`. Returns how many words after this one it took. */
function scanShort(
  options: readonly OptionTable[],
  values: Values,
  word: string,
  next: string | undefined,
): 0 | 1 | Problem {
  for (let at = 1; at < word.length; at++) {
    const option = findLetter(options, word[at]!);
    if (!option) {
      if (word[at] === "h") return { kind: "help" };
      // A whole character, should it have two units.
      const letter = String.fromCodePoint(word.codePointAt(at)!);
      return { kind: "unknown-option", name: `-${letter}`, word };
    }
    const rest = word.slice(at + 1);
    if (rest[0] === "=") return assign(values, option, rest.slice(1), next);
    if (option.argument !== undefined) return assign(values, option, rest || undefined, next);
    assign(values, option, undefined, next);
  }
  return 0;
}

function findLetter(options: readonly OptionTable[], letter: string): OptionTable | undefined {
  for (const option of options) {
    if (option.short?.includes(letter)) return option;
  }
}

/** `own`: the value that stands in the option's own word. */
function assign(
  values: Values,
  option: OptionTable,
  own: string | undefined,
  next: string | undefined,
): 0 | 1 | Problem {
  const key = keyOf(option.long);
  if (option.argument === undefined) {
    if (own !== undefined && own !== "true" && own !== "false") {
      return { kind: "bad-value", option, value: own };
    }
    values[key] = own !== "false";
    return 0;
  }
  const { flagAfter } = option;
  if (flagAfter !== undefined && own === undefined && values[flagAfter] !== undefined) {
    values[key] = "";
    return 0;
  }
  const value = own ?? next;
  if (value === undefined) return { kind: "missing-value", option };
  if (option.choices && !option.choices.includes(value)) {
    return { kind: "bad-value", option, value };
  }
  const list = values[key];
  if (Array.isArray(list)) list.push(value);
  else values[key] = value;
  return own === undefined ? 1 : 0;
}

/** `cpu-shares` -> `cpuShares`, as the type `CamelCase` does. */
function keyOf(long: string): string {
  const dash = long.indexOf("-");
  if (dash < 0) return long;
  return long.slice(0, dash) + long[dash + 1]!.toUpperCase() + keyOf(long.slice(dash + 2));
}
