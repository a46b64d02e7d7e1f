/**
 * The commands on containers that exist, but for those of verbs.ts, which load alone.
 *
 * @module
 */
import type { Call, CommandTableOf, OptionValues } from "../table.ts";
import { container, containers } from "./verbs.ts";

export const listOptions = [
  { long: "quiet", short: "q", description: "print ids only" },
  {
    long: "format",
    short: "f",
    argument: "FORMAT",
    choices: ["table", "json"],
    description: "how to print them",
    default: "table",
  },
] as const;

/** What `crate list` is called with. */
export type ListCall = Call<OptionValues<typeof listOptions>>;

export const listTable: CommandTableOf<typeof listOptions> = {
  name: "list",
  aliases: ["ls"],
  summary: "List the containers, those that have stopped too",
  usage: "[OPTIONS]",
  group: "Containers",
  options: listOptions,
  positionals: [],
  examples: [
    { text: "for a program to read", command: "crate list --format json" },
  ],
  load: () => import("../../commands/list.ts"),
};

export const logsOptions = [
  { long: "follow", short: "f", description: "go on printing until the container ends" },
  {
    long: "tail",
    short: "n",
    argument: "N",
    description: "print the last N lines only; -1 is all",
    default: "all",
  },
  { long: "timestamps", short: "t", description: "print each line's time before it" },
  {
    long: "since",
    argument: "TIME",
    description: "print what was written since a time (2026-01-31T12:00:00Z) or for so long (10m)",
  },
] as const;

/** What `crate logs` is called with. */
export type LogsCall = Call<OptionValues<typeof logsOptions>>;

export const logsTable: CommandTableOf<typeof logsOptions> = {
  name: "logs",
  summary: "Print what a detached container has written",
  usage: "[OPTIONS] CONTAINER",
  group: "Containers",
  options: logsOptions,
  positionals: [container],
  examples: [
    { text: "the last ten lines, and all that follows", command: "crate logs -f --tail 10 web" },
  ],
  load: () => import("../../commands/logs.ts"),
};

export const renameOptions = [] as const;

/** What `crate rename` is called with. */
export type RenameCall = Call<OptionValues<typeof renameOptions>>;

export const renameTable: CommandTableOf<typeof renameOptions> = {
  name: "rename",
  summary: "Give a container another name, if it is not of --rm or an engine's",
  usage: "CONTAINER NAME",
  group: "Containers",
  options: renameOptions,
  positionals: [
    container,
    { name: "NAME", required: true, variadic: false, description: "what it is called from now on" },
  ],
  examples: [{ text: "whether it runs or not", command: "crate rename web old-web" }],
  load: () => import("../../commands/rename.ts"),
};

export const stopOptions = [
  {
    long: "time",
    short: "t",
    also: "timeout",
    argument: "SECONDS",
    description: "how long to wait before SIGKILL",
    default: "the container's --stop-timeout",
  },
  {
    long: "signal",
    short: "s",
    argument: "SIGNAL",
    description: "what to send first",
    default: "the container's --stop-signal",
  },
] as const;

/** What `crate stop` is called with. */
export type StopCall = Call<OptionValues<typeof stopOptions>>;

export const stopTable: CommandTableOf<typeof stopOptions> = {
  name: "stop",
  summary: "Ask containers to end, and kill them when they do not",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  group: "Containers",
  options: stopOptions,
  positionals: [containers],
  examples: [{ text: "with three seconds of patience", command: "crate stop -t 3 web" }],
  load: () => import("../../commands/stop.ts"),
};

export const restartTable: CommandTableOf<typeof stopOptions> = {
  name: "restart",
  summary: "Stop containers that run, and start them again",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  group: "Containers",
  options: stopOptions,
  positionals: [containers],
  examples: [{ text: "with three seconds of patience", command: "crate restart -t 3 web" }],
  load: () => import("../../commands/restart.ts"),
};

export const statsOptions = [
  { long: "no-stream", description: "print them once, after a second, and end" },
  {
    long: "format",
    argument: "FORMAT",
    choices: ["table", "json"],
    description: "how to print them; json is an object for each container on a line",
    default: "table",
  },
] as const;

/** What `crate stats` is called with. */
export type StatsCall = Call<OptionValues<typeof statsOptions>>;

export const statsTable: CommandTableOf<typeof statsOptions> = {
  name: "stats",
  summary: "Show what containers use: processor, memory, network, disks",
  usage: "[OPTIONS] [CONTAINER...]",
  group: "Containers",
  options: statsOptions,
  positionals: [
    { ...containers, required: false, description: "names or ids; without one all that run" },
  ],
  examples: [{ text: "for a program to read", command: "crate stats --no-stream --format json" }],
  load: () => import("../../commands/stats.ts"),
};

export const waitOptions = [] as const;

/** What `crate wait` is called with. */
export type WaitCall = Call<OptionValues<typeof waitOptions>>;

export const waitTable: CommandTableOf<typeof waitOptions> = {
  name: "wait",
  summary: "Wait until containers have ended, and print their exit codes",
  usage: "CONTAINER [CONTAINER...]",
  group: "Containers",
  options: waitOptions,
  positionals: [containers],
  examples: [{ text: "for a job in the background", command: "crate wait job" }],
  load: () => import("../../commands/wait.ts"),
};

export const pauseOptions = [] as const;

/** What `crate pause` and `crate resume` are called with. */
export type PauseCall = Call<OptionValues<typeof pauseOptions>>;

export const pauseTable: CommandTableOf<typeof pauseOptions> = {
  name: "pause",
  summary: "Stop all processes of containers where they are",
  usage: "CONTAINER [CONTAINER...]",
  group: "Containers",
  options: pauseOptions,
  positionals: [containers],
  examples: [{ text: "until crate resume", command: "crate pause web" }],
  load: () => import("../../commands/pause.ts"),
};

export const resumeTable: CommandTableOf<typeof pauseOptions> = {
  name: "resume",
  aliases: ["unpause"],
  summary: "Let paused containers go on",
  usage: "CONTAINER [CONTAINER...]",
  group: "Containers",
  options: pauseOptions,
  positionals: [containers],
  examples: [{ text: "after crate pause", command: "crate resume web" }],
  load: () => import("../../commands/resume.ts"),
};

export const topOptions = [] as const;

/** What `crate top` is called with. */
export type TopCall = Call<OptionValues<typeof topOptions>>;

export const topTable: CommandTableOf<typeof topOptions> = {
  name: "top",
  summary: "List a container's processes",
  usage: "CONTAINER",
  group: "Containers",
  options: topOptions,
  positionals: [container],
  examples: [{ text: "as the host sees them", command: "crate top web" }],
  load: () => import("../../commands/top.ts"),
};
