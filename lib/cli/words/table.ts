/**
 * The shape of a command line written down as data: what the parser, the help and the types of a
 * command's values all come from.
 *
 * @module
 */
import type { Globals } from "./globals.ts";

/** One option. Without `argument` it is a flag. */
export interface OptionTable {
  /** The long name without its dashes: `memory`. */
  readonly long: string;
  /** The short name without its dash; several letters are several names of one option: `hH`. */
  readonly short?: string;
  /** One more long name, by which fingers know it from elsewhere: `net`. */
  readonly also?: string;
  /** What the value is called in help: `BYTES`. Absent: a flag, which takes no word after it. */
  readonly argument?: string;
  /** May be given many times, and every value counts; otherwise the last one wins. */
  readonly repeat?: boolean;
  /** One line for help, in lower case, without a full stop. */
  readonly description: string;
  /** The only values that are taken. */
  readonly choices?: readonly string[];
  /**
   * What holds when the option is not given, as help's text. A flag that has one is `undefined`,
   * not `false`, when it is not given: something else (the configuration) then decides.
   */
  readonly default?: string;
  /** The heading in help that it stands under. */
  readonly group?: string;
  /** The long name of an option after which this one is a flag: its value is the empty string then. */
  readonly flagAfter?: string;
}

/** One word, or the rest of the words, that is not an option. */
export interface PositionalTable {
  readonly name: string;
  readonly required: boolean;
  /** Takes all words that are left; only the last positional may. */
  readonly variadic: boolean;
  readonly description: string;
}

/** A command line that help shows, and what it does. */
export interface Example {
  readonly text: string;
  readonly command: string;
}

/** A command's words and help, but for its options. */
export interface CommandText {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** One sentence without a full stop. */
  readonly summary: string;
  /** What follows the name in help's first line: `[OPTIONS] CONTAINER [SIGNAL]`. */
  readonly usage: string;
  readonly examples: readonly Example[];
  readonly positionals: readonly PositionalTable[];
  /** Options end at the first positional: the words after it belong to a container's command. */
  readonly optionsFirst?: boolean;
  /** Works, but help does not list it. */
  readonly hidden?: boolean;
  /** The heading in help that it stands under. */
  readonly group?: string;
}

/** One command, as a list of commands holds it: its words, its help, and where its code is. */
export interface CommandTable extends CommandText {
  readonly options: readonly OptionTable[];
  /** Loads the command's own module; called only for the command that was given. */
  load(): Promise<CommandModule<OptionValues<readonly OptionTable[]>>>;
}

/** One command as it is written down: its module takes the values of just these options. */
export interface CommandTableOf<Options extends readonly OptionTable[]> extends CommandText {
  readonly options: Options;
  load(): Promise<CommandModule<OptionValues<Options>>>;
}

/** What a command's module must export: the function that does it and returns the exit code. */
export interface CommandModule<Values> {
  // A method, whose parameter is compared both ways: a list of commands can hold all of them.
  default(call: Call<Values>): Promise<number> | number;
}

/** Commands behind a word; most are others by one more name: `crate image ls` is `crate images`. */
export interface GroupTable {
  readonly name: string;
  /** One sentence without a full stop. */
  readonly summary: string;
  /** A name in the group, and its command; one that is here alone has both words as its name. */
  readonly commands: readonly (readonly [name: string, command: CommandTable])[];
}

/** The whole command line. */
export interface CommandLine {
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  /** The global options, which stand before the command. */
  readonly options: readonly OptionTable[];
  readonly commands: readonly CommandTable[];
  readonly groups: readonly GroupTable[];
  readonly examples: readonly Example[];
}

/** What a value can be when its table is not known to the compiler. */
export type OptionValue = string | boolean | string[] | undefined;

/** `cpu-shares` -> `cpuShares`. */
type CamelCase<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name;

type ValueOf<Option extends OptionTable> = Option extends { readonly argument: string }
  ? Option extends { readonly repeat: true } ? string[]
  : (Option extends { readonly choices: readonly (infer Choice)[] } ? Choice : string) | undefined
  : Option extends { readonly default: string } ? boolean | undefined
  : boolean;

/**
 * The values of a table's options, by name in camel case: `--cpu-shares` is `cpuShares`.
 *
 * An option with an argument is `string | undefined` (or the union of its choices), a repeatable
 * one `string[]`, a flag `boolean`; a flag whose table has a `default` is `boolean | undefined`.
 *
 * @example
 * ```ts
 * import type { OptionValues } from "./table.ts";
 * const options = [
 *   { long: "cpu-shares", argument: "N", description: "relative weight" },
 *   { long: "env", argument: "NAME=VALUE", repeat: true, description: "set a variable" },
 *   { long: "rm", description: "delete it afterwards" },
 * ] as const;
 * const values: OptionValues<typeof options> = { cpuShares: undefined, env: ["A=1"], rm: true };
 * ```
 */
export type OptionValues<Options extends readonly OptionTable[]> =
  // A table that the compiler knows only as OptionTable[] says nothing about its names.
  OptionTable extends Options[number] ? Readonly<Record<string, OptionValue>>
    : {
      readonly [Option in Options[number] as CamelCase<Option["long"]>]: ValueOf<Option>;
    };

/** What a command is called with. */
export interface Call<Values = OptionValues<readonly OptionTable[]>> {
  readonly options: Values;
  readonly positionals: string[];
  readonly globals: Globals;
}

/** A command line that was understood. */
export interface Parsed {
  readonly command: CommandTable;
  readonly call: Call;
}
