/**
 * Words to values, by docker's rules. Hand-written because it runs before every command: it needs
 * some microseconds, where loading a parser from npm takes 25 ms.
 *
 * @module
 */
import type { CommandLine, CommandTable, OptionTable, OptionValue, Parsed } from "./table.ts";

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

/** A problem, and the command that it was found in (none: before the command). */
export interface Trouble {
  readonly problem: Problem;
  readonly command?: CommandTable;
}

interface Words {
  readonly values: Record<string, OptionValue>;
  readonly positionals: string[];
}

/** Reads a whole command line: the values of its options, or what is unusual about it. */
export function scan(line: CommandLine, argv: readonly string[]): Parsed | Trouble {
  const globals = scanOptions(line.options, argv, true);
  if ("kind" in globals) return { problem: globals };
  let [name, ...rest] = globals.positionals;
  // Only --version can leave no command and still mean one.
  if (globals.values.version === true) name = "version", rest = globals.positionals;
  if (name === undefined) return { problem: { kind: "no-command" } };
  if (name === "help") return scanHelp(line, rest);
  const command = findCommand(line, name);
  if (!command) return { problem: { kind: "unknown-command", word: name } };
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

function findCommand(line: CommandLine, name: string): CommandTable | undefined {
  return line.commands.find((each) => each.name === name || each.aliases?.includes(name));
}

function scanHelp(line: CommandLine, [name, excess]: readonly string[]): Trouble {
  if (name === undefined) return { problem: { kind: "help" } };
  if (excess !== undefined) return { problem: { kind: "excess-positional", word: excess } };
  const command = findCommand(line, name);
  return command
    ? { problem: { kind: "help" }, command }
    : { problem: { kind: "unknown-command", word: name } };
}

function checkCount(
  { positionals }: CommandTable,
  words: readonly string[],
): Problem | undefined {
  const missing = positionals.find((each, index) => each.required && words[index] === undefined);
  if (missing) return { kind: "missing-positional", name: missing.name };
  const word = words[positionals.length];
  if (word !== undefined && !positionals.at(-1)?.variadic) {
    return { kind: "excess-positional", word };
  }
}

/** `first`: the first word that is no option ends the options. */
function scanOptions(
  options: readonly OptionTable[],
  words: readonly string[],
  first: boolean,
): Words | Problem {
  const values = unset(options);
  const positionals: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    if (word === "--") {
      positionals.push(...words.slice(index + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      if (first) {
        positionals.push(...words.slice(index));
        break;
      }
      positionals.push(word);
      continue;
    }
    const next = words[index + 1];
    const taken = word.startsWith("--")
      ? scanLong(options, values, word, next)
      : scanShort(options, values, word, next);
    if (typeof taken === "object") return taken;
    index += taken;
  }
  return { values, positionals };
}

/** Returns how many words after this one it took. */
function scanLong(
  options: readonly OptionTable[],
  values: Record<string, OptionValue>,
  word: string,
  next: string | undefined,
): 0 | 1 | Problem {
  const equals = word.indexOf("=");
  const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
  const option = options.find((each) => each.long === name);
  if (!option) {
    return name === "help" ? { kind: "help" } : { kind: "unknown-option", name: `--${name}`, word };
  }
  return assign(values, option, equals < 0 ? undefined : word.slice(equals + 1), next);
}

/** One dash: `-m 1g`, `-m1g`, `-m=1g`, `-it`, `-itm1g`. */
function scanShort(
  options: readonly OptionTable[],
  values: Record<string, OptionValue>,
  word: string,
  next: string | undefined,
): 0 | 1 | Problem {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at]!;
    const option = options.find((each) => each.short?.includes(letter));
    if (!option) {
      return letter === "h"
        ? { kind: "help" }
        // Whole, should it be a character of two units.
        : {
          kind: "unknown-option",
          name: `-${String.fromCodePoint(word.codePointAt(at)!)}`,
          word,
        };
    }
    const rest = word.slice(at + 1);
    if (rest.startsWith("=")) return assign(values, option, rest.slice(1), next);
    if (option.argument !== undefined) return assign(values, option, rest || undefined, next);
    assign(values, option, undefined, next);
  }
  return 0;
}

/** `own`: the value that stands in the option's own word. */
function assign(
  values: Record<string, OptionValue>,
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

/** The values when no option is given. */
function unset(options: readonly OptionTable[]): Record<string, OptionValue> {
  const values: Record<string, OptionValue> = {};
  for (const option of options) {
    if (option.repeat) values[keyOf(option.long)] = [];
    else if (option.argument === undefined && option.default === undefined) {
      values[keyOf(option.long)] = false;
    }
  }
  return values;
}

/** `cpu-shares` -> `cpuShares`, as the type `CamelCase` does. */
function keyOf(long: string): string {
  const [head, ...tail] = long.split("-");
  return head + tail.map((part) => part[0]!.toUpperCase() + part.slice(1)).join("");
}
