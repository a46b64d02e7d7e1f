import assert from "node:assert/strict";
import { Command, Option } from "commander";
import fc from "fast-check";
import { commandLine } from "./commands.ts";
import { explainWords, parseWords } from "./parse.ts";
import type { CommandTable, OptionTable, OptionValue } from "./table.ts";

type Values = Record<string, OptionValue>;

/** A command line with what it must be read as. */
interface Line {
  readonly argv: string[];
  readonly command: string;
  readonly options: Values;
  readonly globals: Values;
  readonly positionals: string[];
}

/** One option as it is written, and its value. */
interface Given {
  readonly words: string[];
  readonly option: OptionTable;
  readonly value: string | true;
}

const camelCase = (name: string) => name.replace(/-./g, (part) => part[1]!.toUpperCase());

function given(options: readonly OptionTable[]): fc.Arbitrary<Given> {
  return fc.constantFrom(...options).chain((option): fc.Arbitrary<Given> => {
    const long = `--${option.long}`;
    const short = option.short && `-${option.short[0]}`;
    if (option.argument === undefined) {
      const words = fc.constantFrom<string[]>([long], ...short ? [[short]] : []);
      return words.map((words) => ({ words, option, value: true }));
    }
    const value = option.choices ? fc.constantFrom(...option.choices) : fc.string();
    return value.chain((value) => {
      const ways = [[long, value], [`${long}=${value}`]];
      if (short) ways.push([short, value]);
      // Directly after the letter, commander takes a leading = for the value's own; pflag does not.
      if (short && value !== "" && !value.startsWith("=")) ways.push([short + value]);
      return fc.constantFrom(...ways).map((words) => ({ words, option, value }));
    });
  });
}

/** Flags that stand beside each other, all with letters, may share a word: `-i -t` -> `-it`. */
function join(all: readonly Given[], clustered: boolean): string[] {
  const words: string[] = [];
  let open = false;
  for (const { words: own, value } of all) {
    const letter = value === true && own[0]!.startsWith("--") === false;
    if (clustered && open && letter) words.push(words.pop() + own[0]!.slice(1));
    else words.push(...own);
    open = letter;
  }
  return words;
}

function expected(options: readonly OptionTable[], all: readonly Given[]): Values {
  const values: Values = {};
  for (const { long, argument, repeat, default: preset } of options) {
    const found = all.filter((each) => each.option.long === long).map((each) => each.value);
    const value = repeat
      ? found as string[]
      : found.at(-1) ?? (argument === undefined && preset === undefined ? false : undefined);
    if (value !== undefined) values[camelCase(long)] = value;
  }
  return values;
}

function positionalsOf({ positionals }: CommandTable): fc.Arbitrary<string[]> {
  const minLength = positionals.filter((each) => each.required).length;
  const maxLength = positionals.at(-1)?.variadic ? 6 : positionals.length;
  return fc.array(fc.oneof(fc.string(), fc.constantFrom("-", "--", "-it", "--rm", "help")), {
    minLength,
    maxLength,
  });
}

const isPlain = (word: string) => word === "-" || !word.startsWith("-");

const line: fc.Arbitrary<Line> = fc.constantFrom(...commandLine.commands).chain((command) =>
  fc.record({
    name: fc.constantFrom(command.name, ...command.aliases ?? []),
    // --version takes the place of the command.
    before: fc.array(given(commandLine.options.filter((each) => each.long !== "version"))),
    after: command.options.length > 0 ? fc.array(given(command.options)) : fc.constant<Given[]>([]),
    positionals: positionalsOf(command),
    clustered: fc.boolean(),
    dashes: fc.boolean(),
    seed: fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }),
  }).map(({ name, before, after, positionals, clustered, dashes, seed }) => {
    const words = join(after, clustered);
    let tail: string[];
    const first = positionals[0];
    if (command.optionsFirst) {
      tail = [...words, ...first !== undefined && !isPlain(first) ? ["--"] : [], ...positionals];
    } else if (dashes || !positionals.every(isPlain)) {
      tail = [...words, "--", ...positionals];
    } else {
      // Options and positionals mixed; an option with its value stays together.
      const left = [...positionals];
      tail = after.flatMap((each, index) => [
        ...seed[index % seed.length] ? left.splice(0, 1) : [],
        ...each.words,
      ]);
      tail.push(...left);
    }
    return {
      argv: [...join(before, false), name, ...tail],
      command: command.name,
      options: expected(command.options, after),
      globals: expected(commandLine.options, before),
      positionals,
    };
  })
);

/** Commander, made from the same tables, as the second opinion. */
function commander(argv: readonly string[]): Line | undefined {
  let result: Line | undefined;
  const program = prepare(new Command(), commandLine.options).enablePositionalOptions();
  for (const command of commandLine.commands) {
    const sub = prepare(new Command(command.name), command.options)
      .aliases([...command.aliases ?? []])
      .passThroughOptions(command.optionsFirst === true);
    for (const { name, required, variadic } of command.positionals) {
      const text = name + (variadic ? "..." : "");
      sub.argument(required ? `<${text}>` : `[${text}]`);
    }
    sub.action(() => {
      result = {
        argv: [...argv],
        command: command.name,
        options: sub.opts(),
        globals: program.opts(),
        positionals: sub.args,
      };
    });
    program.addCommand(sub);
  }
  program.parse(argv, { from: "user" });
  return result;
}

function prepare(command: Command, options: readonly OptionTable[]): Command {
  for (const { long, short, argument, repeat, default: preset, choices } of options) {
    const flags = `${short ? `-${short[0]}, ` : ""}--${long}`;
    const option = new Option(flags + (argument === undefined ? "" : ` <${argument}>`));
    // To commander --no-trunc is a way to say that trunc is false; here it is an option like others.
    option.negate = false;
    option.attributeName = () => camelCase(long);
    if (choices) option.choices(choices);
    if (repeat) option.default([]).argParser((value, all: string[]) => [...all, value]);
    if (argument === undefined && preset === undefined) option.default(false);
    command.addOption(option);
  }
  return command.helpOption("--help").exitOverride();
}

Deno.test("every valid command line is read as it was meant, and as commander reads it", () => {
  fc.assert(
    fc.property(line, ({ argv, command, options, globals, positionals }) => {
      // One option makes another a flag, of which commander knows nothing.
      const has = (name?: string) => name !== undefined && options[camelCase(name)] !== undefined;
      const { options: table } = commandLine.commands.find(({ name }) => name === command)!;
      fc.pre(!table.some(({ long, flagAfter }) => has(long) && has(flagAfter)));
      const parsed = parseWords(commandLine, argv);
      assert.equal(parsed?.command.name, command);
      assert.deepEqual(parsed.call, { options, globals, positionals });
      // Copied: commander's objects have no prototype.
      const other = commander(argv);
      assert(other);
      assert.deepEqual({ ...other.options }, options);
      assert.deepEqual({ ...other.globals }, globals);
      assert.deepEqual(other.positionals, positionals);
    }),
    { numRuns: 500 },
  );
});

Deno.test("any words are either a call or explained, in one sentence or as help", async () => {
  const inGroups = commandLine.groups.flatMap((group) => [
    group.name,
    ...group.commands.map(([name]) => name),
  ]);
  const names = commandLine.commands.flatMap(({ name, options }) => [
    name,
    ...options.flatMap(({ long, short }) => [`--${long}`, `--${long}=x`, `-${short}`]),
  ]);
  const word = fc.constantFrom(
    ...names,
    ...inGroups,
    "x",
    "",
    "-",
    "--",
    "--help",
    "-h",
    "help",
    "-9",
    "--x=",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (argv) => {
      if (parseWords(commandLine, argv)) {
        await assert.rejects(explainWords(commandLine, argv), TypeError);
        return;
      }
      const { exitCode, stdout, stderr } = await explainWords(commandLine, argv);
      if (exitCode === 0) return assert.match(stdout, /^Usage: crate/);
      assert.deepEqual([exitCode, stdout], [2, ""]);
      assert.match(stderr, /^(crate( [a-z]+){0,2}: .+\n$|Usage: crate)/);
    }),
    { numRuns: 300 },
  );
});
