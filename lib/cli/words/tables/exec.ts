import type { Call, CommandTableOf, OptionValues } from "../table.ts";

export const execOptions = [
  { long: "detach", short: "d", description: "run in the background" },
  {
    long: "interactive",
    short: "i",
    description: "pass on standard input",
    default: "yes, without -t and -d",
  },
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
  {
    long: "process",
    short: "p",
    argument: "FILE",
    description: "run what a file says: process of the OCI config, in place of a command",
    group: "Engines",
  },
  {
    long: "console-socket",
    argument: "SOCKET",
    description: "where somebody takes the console",
    group: "Engines",
  },
  {
    long: "pid-file",
    argument: "FILE",
    description: "write the process id, as the host sees it, to a file",
    group: "Engines",
  },
  {
    long: "pidfd-socket",
    argument: "SOCKET",
    description: "where somebody takes a pidfd of the process",
    group: "Engines",
  },
  { long: "cwd", argument: "DIR", description: "the same as --workdir", group: "Engines" },
  {
    long: "additional-gids",
    short: "g",
    argument: "GID",
    repeat: true,
    description: "add a supplementary group, by number",
    group: "Engines",
  },
  {
    long: "cap",
    short: "c",
    argument: "CAPABILITY",
    repeat: true,
    description: "add a capability to what the process has",
    group: "Engines",
  },
  {
    long: "no-new-privs",
    description: "let nothing that it executes gain privileges",
    group: "Engines",
  },
  {
    long: "apparmor",
    argument: "PROFILE",
    description: "AppArmor profile to run under",
    default: "the container's",
    group: "Engines",
  },
  {
    long: "process-label",
    argument: "LABEL",
    description: "SELinux label to run with",
    default: "the container's",
    group: "Engines",
  },
  {
    long: "preserve-fds",
    argument: "N",
    description: "hand on N descriptors from 3 on",
    default: "0",
    group: "Engines",
  },
  {
    long: "ignore-paused",
    description: "into a paused container, too: it runs when that goes on",
    group: "Engines",
  },
  {
    long: "cgroup",
    argument: "PATH",
    description: "group below the container's to run in",
    group: "Engines",
  },
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
    { name: "COMMAND", required: false, variadic: false, description: "program to run" },
    { name: "ARG", required: false, variadic: true, description: "its arguments, as they stand" },
  ],
  examples: [
    { text: "look around inside", command: "crate exec -it web /bin/sh" },
    { text: "as another user", command: "crate exec -u www-data web id" },
  ],
  load: () => import("../../commands/exec.ts"),
};
