/**
 * The command line of crate: its global options and its commands.
 *
 * @module
 */
import type { CommandLine, OptionValues } from "./table.ts";
import {
  deleteTable,
  killTable,
  listTable,
  logsTable,
  stateTable,
  stopTable,
} from "./tables/containers.ts";
import { configTable, versionTable } from "./tables/crate.ts";
import { execTable } from "./tables/exec.ts";
import { runTable } from "./tables/run.ts";

const globalOptions = [
  {
    long: "root",
    argument: "DIR",
    description: "directory of the containers' state",
    default: "/run/crate",
  },
  {
    long: "config",
    argument: "FILE",
    description: "read this configuration file, after /etc/crate/config.toml and the user's own",
  },
  {
    long: "log",
    argument: "FILE",
    description: "append messages to a file",
    default: "standard error",
  },
  {
    long: "log-format",
    argument: "FORMAT",
    choices: ["text", "json"],
    description: "how to write messages",
    default: "text",
  },
  { long: "debug", description: "write messages about every step" },
  { long: "version", description: "the same as crate version" },
] as const;

/** The values of the options that stand before the command. */
export type Globals = OptionValues<typeof globalOptions>;

/** All of crate's command line. */
export const commandLine: CommandLine = {
  name: "crate",
  summary: "Containers without a daemon",
  usage: "[OPTIONS] COMMAND [ARG...]",
  options: globalOptions,
  commands: [
    runTable,
    execTable,
    listTable,
    stateTable,
    logsTable,
    stopTable,
    killTable,
    deleteTable,
    configTable,
    versionTable,
  ],
  examples: [
    { text: "run a command in a new container", command: "crate run /bin/echo hello" },
    { text: "all about one command", command: "crate help run" },
  ],
};
