import type { Call, CommandTableOf, OptionValues } from "../table.ts";

export const execOptions = [
  { long: "detach", short: "d", description: "run in the background" },
  { long: "interactive", short: "i", description: "pass on standard input" },
  { long: "tty", short: "t", description: "give it a terminal of its own" },
  {
    long: "env",
    short: "e",
    argument: "NAME[=VALUE]",
    repeat: true,
    description: "set a variable; without =VALUE, pass on crate's own",
  },
  {
    long: "env-file",
    argument: "FILE",
    repeat: true,
    description: "read variables from a file, one NAME[=VALUE] a line",
  },
  {
    long: "workdir",
    short: "w",
    argument: "DIR",
    description: "working directory",
    default: "the container's",
  },
  {
    long: "user",
    short: "u",
    argument: "USER[:GROUP]",
    description: "user to run as, by name or number",
    default: "the container's",
  },
  { long: "privileged", description: "give the process all capabilities" },
] as const;

/** What `crate exec` is called with. */
export type ExecCall = Call<OptionValues<typeof execOptions>>;

export const execTable: CommandTableOf<typeof execOptions> = {
  name: "exec",
  summary: "Run a command in a container that runs",
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  group: "Containers",
  optionsFirst: true,
  options: execOptions,
  positionals: [
    { name: "CONTAINER", required: true, variadic: false, description: "name or id" },
    { name: "COMMAND", required: true, variadic: false, description: "program to run" },
    { name: "ARG", required: false, variadic: true, description: "its arguments, as they stand" },
  ],
  examples: [
    { text: "look around inside", command: "crate exec -it web /bin/sh" },
    { text: "as another user", command: "crate exec -u www-data web id" },
  ],
  load: () => import("../../commands/exec.ts"),
};
