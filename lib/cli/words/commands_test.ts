import assert from "node:assert/strict";
import { commandLine } from "./commands.ts";
import { parseWords } from "./parse.ts";
import type { OptionTable } from "./table.ts";
import { parseVerb, verbModules, verbOf } from "./verb_line.ts";

const alone = commandLine.groups.flatMap(({ commands }) => commands.map(([, command]) => command))
  .filter((command) => !commandLine.commands.includes(command));
const all = [...commandLine.commands, ...alone];

const lists: [string, readonly OptionTable[]][] = [
  ["crate", commandLine.options],
  ...all.map(({ name, options }): [string, readonly OptionTable[]] => [
    name,
    options,
  ]),
];

Deno.test("a command that loads alone is the same one as of the whole command line", async () => {
  for (const [name, load] of Object.entries(verbModules)) {
    const { table } = await load();
    assert.equal(table.name, name);
    assert(commandLine.commands.includes(table), name);
    assert.equal(await table.load(), await load(), name);
  }
});

Deno.test("words of such a command are read alike by both", async () => {
  for (
    const argv of [
      ["run", "-d", "--name", "x", "/bin/sh", "-c", "true"],
      ["--root", "/x", "--debug", "exec", "-it", "x", "sh"],
      ["kill", "x", "TERM"],
      ["--version"],
      ["list"],
      ["run"],
      ["state", "--help"],
      ["--nothing", "run", "/bin/true"],
      ["--root"],
      [],
      ["constructor"],
    ]
  ) {
    const verb = verbOf(argv);
    const parsed = verb === undefined ? undefined : await parseVerb(verb, argv);
    const whole = parseWords(commandLine, argv);
    assert.deepEqual(parsed, verb === undefined ? undefined : whole, argv.join(" "));
    if (whole !== undefined && Object.hasOwn(verbModules, whole.command.name)) {
      assert.equal(verb, whole.command.name);
    }
  }
});

Deno.test("no name or letter of an option, and no name of a command, is used twice", () => {
  for (const [command, options] of lists) {
    const names = options.flatMap((
      { long, short, also },
    ) => [long, ...short ?? "", ...also === undefined ? [] : [also]]);
    assert.deepEqual(names, [...new Set(names)], command);
  }
  const commands = commandLine.commands.flatMap(({ name, aliases }) => [name, ...aliases ?? []]);
  const groups = commandLine.groups.map(({ name }) => name);
  const inGroups = commandLine.groups.map(({ commands }) => commands.map(([name]) => name));
  for (const names of [[...commands, ...groups], ...inGroups]) {
    assert.deepEqual(names, [...new Set(names)]);
    assert(!names.includes("help"), "help is the parser's own");
  }
});

Deno.test("only an option with an argument can be repeated or have choices", () => {
  for (const [command, options] of lists) {
    for (const { long, argument, repeat, choices, default: preset } of options) {
      if (argument === undefined) assert(!repeat && !choices, `${command} --${long}`);
      if (choices && preset) assert(choices.includes(preset), `${command} --${long}`);
    }
  }
});

Deno.test("positionals that must be there come first, and only the last takes all the rest", () => {
  for (const { name, positionals } of all) {
    const required = positionals.map((each) => each.required);
    assert.deepEqual(required, required.toSorted((a, b) => Number(b) - Number(a)), name);
    assert(positionals.slice(0, -1).every((each) => !each.variadic), name);
  }
});

Deno.test("the examples of the help are command lines that can be run", () => {
  for (const { command } of [commandLine, ...all].flatMap((t) => t.examples)) {
    // As a shell splits these: pipes end them, and quotes keep words together.
    const words = command.split(" | ")[0]!.match(/'[^']*'|\S+/g) ?? [];
    if (words[1] === "help") continue;
    assert(parseWords(commandLine, words.slice(1)), command);
  }
});

Deno.test("a command that is in a group alone has both words as its name", () => {
  assert(alone.length > 0);
  for (const { name, commands } of commandLine.groups) {
    for (const [each, command] of commands) {
      if (alone.includes(command)) assert.equal(command.name, `${name} ${each}`);
    }
  }
});
