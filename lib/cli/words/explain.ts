/**
 * The slow path of the command line: help, and what to say about words that cannot be run.
 *
 * @module
 */
import { Argument, Command, CommanderError, Option } from "commander";
import type { Problem, Trouble } from "./parse.ts";
import type { CommandLine, CommandTable, Example, GroupTable, OptionTable } from "./table.ts";

/** What to print, and what to exit with, instead of running a command. */
export interface Explanation {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A problem that is the words' fault. */
type Mistake = Exclude<Problem, { kind: "help" | "no-command" }>;

/** Columns that help is wrapped to, whatever the terminal: it reads the same in a pipe. */
const WIDTH = 80;

/** The command that every command line has, and its usage. */
const HELP = "help [COMMAND]";

/** Says what {@linkcode Trouble} is about. */
export function explain(line: CommandLine, { problem, command, group }: Trouble): Explanation {
  // A group is a small command line of its own.
  if (group !== undefined) return explain(lineOf(line, group), { problem });
  if (problem.kind === "help") {
    return { exitCode: 0, stdout: help(line, command), stderr: "" };
  }
  if (problem.kind === "no-command") {
    return { exitCode: 2, stdout: "", stderr: help(line) };
  }
  const subject = command ? `${line.name} ${command.name}` : line.name;
  return { exitCode: 2, stdout: "", stderr: `${subject}: ${sentence(line, problem, command)}\n` };
}

/** What a group would be as a command line. */
function lineOf({ name }: CommandLine, group: GroupTable): CommandLine {
  return {
    name: `${name} ${group.name}`,
    summary: group.summary,
    usage: "COMMAND [ARG...]",
    options: [],
    commands: group.commands.map(([each, { aliases: _, group: __, ...command }]) => ({
      ...command,
      name: each,
    })),
    groups: [],
    examples: [],
  };
}

function sentence(line: CommandLine, problem: Mistake, command?: CommandTable): string {
  // Before a command, only the words of `help` are counted.
  const usage = `${line.name} ${command ? `${command.name} ${command.usage}` : HELP}`.trimEnd();
  const see = `see '${line.name} ${command ? `${command.name} ` : ""}--help'`;
  switch (problem.kind) {
    case "unknown-command":
      return `unknown command '${problem.word}' (${remedy(line, problem.word) ?? see})`;
    case "unknown-option": {
      const where = problem.word.startsWith(problem.name) ? "" : ` in '${problem.word}'`;
      return `unknown option '${problem.name}'${where} (${
        remedy(line, problem.name, command) ?? see
      })`;
    }
    case "missing-value":
      return `option '${term(problem.option)}' needs a value (${see})`;
    case "bad-value": {
      const choices = problem.option.choices ?? ["true", "false"];
      return `option '--${problem.option.long}' takes ${either(choices)}, got '${problem.value}'`;
    }
    case "missing-positional":
      return `${problem.name} is missing (usage: ${usage})`;
    case "excess-positional":
      return `unexpected word '${problem.word}' (usage: ${usage})`;
  }
}

/** What may have been meant by an option or a command that does not exist. */
function remedy(line: CommandLine, word: string, command?: CommandTable): string | undefined {
  const global = command && line.options.find((each) => `--${each.long}` === word);
  if (global) {
    const value = global.argument === undefined ? "" : ` ${global.argument}`;
    return `it stands before the command: ${line.name} ${word}${value} ${command.name} ...`;
  }
  const program = command ? commandOf(line, command) : programOf(line);
  return suggestion(program, word);
}

/** Commander's own search for near names, which it puts into the text of its error. */
function suggestion(program: Command, word: string): string | undefined {
  try {
    program.parse([word], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.message.match(/\(Did you mean (.*\?)\)/)?.[1]?.replace(/^/, "did you mean ");
  }
}

/** The text of `crate --help`, or of `crate COMMAND --help`. */
function help(line: CommandLine, command?: CommandTable): string {
  const program = command ? commandOf(line, command) : programOf(line);
  const { examples } = command ?? line;
  return program.helpInformation() + (examples.length > 0 ? `\n${exampleText(examples)}` : "");
}

function exampleText(examples: readonly Example[]): string {
  const lines = examples.flatMap(({ text, command }) => [`  # ${text}`, `  ${command}`]);
  return ["Examples:", ...lines, ""].join("\n");
}

function programOf(line: CommandLine): Command {
  const program = configure(new Command(line.name), line)
    .description(`${line.summary}.`)
    .addHelpOption(helpOption(line.options))
    .addHelpCommand(
      new Command("help")
        .summary("Print this text, or a command's")
        .helpGroup(groupOf(line.commands.at(-1), "Commands")),
    );
  for (const command of line.commands) {
    program.addCommand(commandOf(line, command), { hidden: command.hidden === true });
  }
  for (const { name, summary } of line.groups) {
    program.addCommand(new Command(name).summary(summary).helpGroup("Groups of commands:"));
  }
  return program;
}

function commandOf(line: CommandLine, command: CommandTable): Command {
  const program = configure(new Command(command.name), command)
    .summary(command.summary)
    .description(`${command.summary}.`)
    .aliases([...command.aliases ?? []])
    .helpGroup(groupOf(command, "Commands"))
    .addHelpOption(helpOption(command.options))
    .action(() => {});
  for (const { name, required, variadic, description } of command.positionals) {
    const text = variadic ? `${name}...` : name;
    program.addArgument(new Argument(required ? `<${text}>` : `[${text}]`, description));
  }
  return program.configureHelp({
    ...program.configureHelp(),
    commandUsage: () => `${line.name} ${command.name} ${command.usage}`.trimEnd(),
  });
}

/** What the program and its commands have in common. */
function configure(program: Command, table: CommandLine | CommandTable): Command {
  const terms = new Map<Option, OptionTable>();
  for (const each of table.options) {
    const short = each.short ? `-${each.short[0]}, ` : "";
    const argument = each.argument === undefined ? "" : ` <${each.argument}>`;
    const option = new Option(`${short}--${each.long}${argument}`, optionText(each));
    terms.set(option, each);
    program.addOption(option.helpGroup(groupOf(each, "Options")));
  }
  return program
    .usage(table.usage)
    .exitOverride()
    .configureOutput({
      writeOut: () => {},
      writeErr: () => {},
      // Set, so that commander does not look into the environment for them.
      getOutHelpWidth: () => WIDTH,
      getErrHelpWidth: () => WIDTH,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({
      optionTerm: (option) => {
        const each = terms.get(option);
        return each ? term(each, "    ") : option.short ? option.flags : `    ${option.flags}`;
      },
      subcommandTerm: (command) => [command.name(), ...command.aliases()].join(", "),
      argumentTerm: (argument) => `${argument.name()}`,
    });
}

/** `-h` is help's, unless the command has a use of its own for it. */
function helpOption(options: readonly OptionTable[]): Option {
  const taken = options.some((each) => each.short?.includes("h"));
  return new Option(taken ? "--help" : "-h, --help", "print this text")
    .helpGroup(groupOf(options[0], "Options"));
}

function groupOf(table: { readonly group?: string } | undefined, otherwise: string): string {
  return `${table?.group ?? otherwise}:`;
}

/** `-m, --memory BYTES`. */
function term({ short, long, argument }: OptionTable, indent = ""): string {
  const letters = short ? [...short].map((letter) => `-${letter}, `).join("") : indent;
  return `${letters}--${long}${argument === undefined ? "" : ` ${argument}`}`;
}

function optionText(option: OptionTable): string {
  const { also, description, choices, default: preset, repeat } = option;
  const notes = [
    ...also === undefined ? [] : [`also --${also}`],
    ...choices ? [either(choices)] : [],
    ...preset === undefined ? [] : [`default: ${preset}`],
    ...repeat ? ["repeatable"] : [],
  ];
  return notes.length > 0 ? `${description} (${notes.join("; ")})` : description;
}

function either(words: readonly string[]): string {
  return words.join(" or ");
}
