/**
 * The commands that an engine calls for each container, but for `exec`; see verb_line.ts.
 *
 * @module
 */
import type { Call, CommandTableOf, OptionValues, PositionalTable } from "../table.ts";

export const container: PositionalTable = {
  name: "CONTAINER",
  required: true,
  variadic: false,
  description: "name or id",
};

export const containers: PositionalTable = {
  name: "CONTAINER",
  required: true,
  variadic: true,
  description: "names or ids",
};

export const stateOptions = [] as const;

/** What `crate state` is called with. */
export type StateCall = Call<OptionValues<typeof stateOptions>>;

export const stateTable: CommandTableOf<typeof stateOptions> = {
  name: "state",
  summary: "Print a container's state as OCI JSON",
  usage: "CONTAINER",
  group: "Containers",
  options: stateOptions,
  positionals: [container],
  examples: [{ text: "its status", command: "crate state web | jq -r .status" }],
  load: () => import("../../commands/state.ts"),
};

export const startOptions = [] as const;

/** What `crate start` is called with. */
export type StartCall = Call<OptionValues<typeof startOptions>>;

export const startTable: CommandTableOf<typeof startOptions> = {
  name: "start",
  summary: "Start containers that were created, or that have ended, in the background",
  usage: "CONTAINER [CONTAINER...]",
  group: "Containers",
  options: startOptions,
  positionals: [containers],
  examples: [{ text: "on what it has written", command: "crate start web" }],
  load: () => import("../../commands/start.ts"),
};

export const killOptions = [
  {
    long: "signal",
    short: "s",
    argument: "SIGNAL",
    description: "name or number of the signal",
    default: "SIGKILL",
  },
  { long: "all", short: "a", description: "send it to all of its processes" },
  {
    long: "regex",
    short: "r",
    description: "CONTAINER is a regular expression: all whose ids it matches",
  },
] as const;

/** What `crate kill` is called with. */
export type KillCall = Call<OptionValues<typeof killOptions>>;

export const killTable: CommandTableOf<typeof killOptions> = {
  name: "kill",
  summary: "Send a signal to a container's first process",
  usage: "[OPTIONS] CONTAINER [SIGNAL]",
  group: "Containers",
  options: killOptions,
  positionals: [
    container,
    {
      name: "SIGNAL",
      required: false,
      variadic: false,
      description: "the same as --signal",
    },
  ],
  examples: [{ text: "read the configuration again", command: "crate kill web HUP" }],
  load: () => import("../../commands/kill.ts"),
};

export const deleteOptions = [
  { long: "force", short: "f", description: "kill those that still run" },
  {
    long: "regex",
    short: "r",
    description: "CONTAINER is a regular expression: all whose ids it matches",
  },
] as const;

/** What `crate delete` is called with. */
export type DeleteCall = Call<OptionValues<typeof deleteOptions>>;

export const deleteTable: CommandTableOf<typeof deleteOptions> = {
  name: "delete",
  aliases: ["rm"],
  summary: "Delete containers that have stopped",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  group: "Containers",
  options: deleteOptions,
  positionals: [containers],
  examples: [{ text: "whatever it is doing", command: "crate delete --force web" }],
  load: () => import("../../commands/delete.ts"),
};

/** What else a bundle is made a container with, by `create` and by `run`. */
export const bundleOptions = [
  {
    long: "config",
    short: "f",
    argument: "FILE",
    description: "config of the bundle, from its directory",
    default: "config.json",
    group: "Engines",
  },
  {
    long: "console-socket",
    argument: "SOCKET",
    description: "where somebody takes the console of a detached container",
    group: "Engines",
  },
  {
    long: "pidfd-socket",
    argument: "SOCKET",
    description: "where somebody takes a pidfd of the first process",
    group: "Engines",
  },
  {
    long: "preserve-fds",
    argument: "N",
    description: "hand on N descriptors from 3 on",
    default: "0, or LISTEN_FDS",
    group: "Engines",
  },
  {
    long: "no-pivot",
    description: "move the root to / instead of pivot_root, for a root on a ramdisk",
    group: "Engines",
  },
  {
    long: "no-new-keyring",
    description: "keep the caller's session keyring",
    group: "Engines",
  },
  {
    long: "no-subreaper",
    description: "reap no orphans of the container, which crate never does",
    group: "Engines",
  },
] as const;

export const createOptions = [
  {
    long: "bundle",
    short: "b",
    argument: "DIR",
    description: "directory of the OCI bundle",
    default: "the working directory",
  },
  {
    long: "pid-file",
    argument: "FILE",
    description: "write the process id, as the host sees it, to a file",
  },
  ...bundleOptions,
] as const;

/** What `crate create` is called with. */
export type CreateCall = Call<OptionValues<typeof createOptions>>;

export const createTable: CommandTableOf<typeof createOptions> = {
  name: "create",
  summary: "Create a container from an OCI bundle, which crate start lets run",
  usage: "[OPTIONS] CONTAINER",
  group: "Engines",
  options: createOptions,
  positionals: [{ ...container, description: "id" }],
  examples: [{ text: "then crate start web", command: "crate create --bundle ./web web" }],
  load: () => import("../../commands/create.ts"),
};
