/**
 * The command line of crate: its global options and its commands, and the tables of those commands
 * that are about crate itself. It loads when words are not those of verb_line.ts.
 *
 * @module
 */
import { globalOptions } from "./globals.ts";
import type { Call, CommandLine, CommandTableOf, OptionValues } from "./table.ts";
import {
  listTable,
  logsTable,
  pauseTable,
  renameTable,
  restartTable,
  resumeTable,
  statsTable,
  stopTable,
  topTable,
  waitTable,
} from "./tables/containers.ts";
import {
  commitTable,
  diffTable,
  exportTable,
  importTable,
  loadTable,
  saveTable,
} from "./tables/archives.ts";
import {
  containerInspectTable,
  dfTable,
  historyTable,
  imageInspectTable,
  imagesTable,
  inspectTable,
  loginTable,
  logoutTable,
  pruneTable,
  pushTable,
  rmiTable,
  tagTable,
} from "./tables/images.ts";
import { cpTable } from "./tables/copy.ts";
import { checkpointTable, restoreTable } from "./tables/checkpoint.ts";
import {
  eventsTable,
  featuresTable,
  mountsAddTable,
  mountsRemoveTable,
  psTable,
  updateTable,
} from "./tables/engine.ts";
import { execTable } from "./tables/exec.ts";
import {
  networkConnectTable,
  networkCreateTable,
  networkDisconnectTable,
  networkInspectTable,
  networkListTable,
  networkPruneTable,
  networkRemoveTable,
  portTable,
} from "./tables/networks.ts";
import { pullTable } from "./tables/pull.ts";
import { containerPruneTable, systemDfTable, systemPruneTable } from "./tables/system.ts";
import { runTable } from "./tables/run.ts";
import { createTable, deleteTable, killTable, startTable, stateTable } from "./tables/verbs.ts";
import {
  volumeCreateTable,
  volumeInspectTable,
  volumeListTable,
  volumePruneTable,
  volumeRemoveTable,
} from "./tables/volumes.ts";

export const configOptions = [
  {
    long: "format",
    argument: "FORMAT",
    choices: ["toml", "json"],
    description: "how to print it",
    default: "toml",
  },
] as const;

/** What `crate config` is called with. */
export type ConfigCall = Call<OptionValues<typeof configOptions>>;

export const configTable: CommandTableOf<typeof configOptions> = {
  name: "config",
  summary: "Print the configuration and where it comes from",
  usage: "[OPTIONS]",
  group: "Crate",
  options: configOptions,
  positionals: [],
  examples: [
    {
      text: "what a file would change",
      command: "crate --config ./config.toml config --format json",
    },
  ],
  load: () => import("../commands/config.ts"),
};

export const specOptions = [
  {
    long: "bundle",
    short: "b",
    argument: "DIR",
    description: "where to write it",
    default: "the working directory",
  },
  {
    long: "file",
    short: "f",
    argument: "FILE",
    description: "what to call it, from there",
    default: "config.json",
  },
  { long: "rootless", description: "for a user without privileges" },
] as const;

/** What `crate spec` is called with. */
export type SpecCall = Call<OptionValues<typeof specOptions>>;

export const specTable: CommandTableOf<typeof specOptions> = {
  name: "spec",
  summary: "Write a config.json to begin an OCI bundle with",
  usage: "[OPTIONS]",
  group: "Crate",
  options: specOptions,
  positionals: [],
  examples: [{ text: "then crate run --bundle ./web", command: "crate spec --bundle ./web" }],
  load: () => import("../commands/spec.ts"),
};

export const versionOptions = [] as const;

/** What `crate version` is called with. */
export type VersionCall = Call<OptionValues<typeof versionOptions>>;

export const versionTable: CommandTableOf<typeof versionOptions> = {
  name: "version",
  summary: "Print the version",
  usage: "",
  group: "Crate",
  options: versionOptions,
  positionals: [],
  examples: [],
  load: () => import("../commands/version.ts"),
};

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
    portTable,
    topTable,
    statsTable,
    waitTable,
    pauseTable,
    resumeTable,
    stopTable,
    startTable,
    restartTable,
    renameTable,
    killTable,
    updateTable,
    checkpointTable,
    restoreTable,
    deleteTable,
    cpTable,
    diffTable,
    commitTable,
    exportTable,
    pullTable,
    pushTable,
    saveTable,
    loadTable,
    importTable,
    imagesTable,
    inspectTable,
    historyTable,
    tagTable,
    rmiTable,
    pruneTable,
    dfTable,
    loginTable,
    logoutTable,
    createTable,
    psTable,
    eventsTable,
    featuresTable,
    specTable,
    configTable,
    versionTable,
  ],
  groups: [
    {
      name: "container",
      summary: "The commands on containers by docker's longer names",
      commands: [
        ["commit", commitTable],
        ["cp", cpTable],
        ["diff", diffTable],
        ["exec", execTable],
        ["export", exportTable],
        ["inspect", containerInspectTable],
        ["kill", killTable],
        ["logs", logsTable],
        ["ls", listTable],
        ["rm", deleteTable],
        ["run", runTable],
        ["pause", pauseTable],
        ["port", portTable],
        ["prune", containerPruneTable],
        ["rename", renameTable],
        ["restart", restartTable],
        ["start", startTable],
        ["stats", statsTable],
        ["stop", stopTable],
        ["top", topTable],
        ["unpause", resumeTable],
        ["update", updateTable],
        ["wait", waitTable],
      ],
    },
    {
      name: "image",
      summary: "The commands on images by docker's longer names",
      commands: [
        ["history", historyTable],
        ["import", importTable],
        ["inspect", imageInspectTable],
        ["load", loadTable],
        ["ls", imagesTable],
        ["prune", pruneTable],
        ["pull", pullTable],
        ["push", pushTable],
        ["rm", rmiTable],
        ["save", saveTable],
        ["tag", tagTable],
      ],
    },
    {
      name: "mounts",
      summary: "Mounts of a container that runs",
      commands: [
        ["add", mountsAddTable],
        ["remove", mountsRemoveTable],
      ],
    },
    {
      name: "network",
      summary: "Networks with names, for crate run --network NAME",
      commands: [
        ["connect", networkConnectTable],
        ["create", networkCreateTable],
        ["disconnect", networkDisconnectTable],
        ["inspect", networkInspectTable],
        ["ls", networkListTable],
        ["prune", networkPruneTable],
        ["rm", networkRemoveTable],
      ],
    },
    {
      name: "system",
      summary: "What crate takes on the disk, and what nobody needs of it",
      commands: [
        ["df", systemDfTable],
        ["prune", systemPruneTable],
      ],
    },
    {
      name: "volume",
      summary: "Volumes with names, for crate run -v NAME:PATH",
      commands: [
        ["create", volumeCreateTable],
        ["inspect", volumeInspectTable],
        ["ls", volumeListTable],
        ["prune", volumePruneTable],
        ["rm", volumeRemoveTable],
      ],
    },
  ],
  examples: [
    { text: "run a command in a new container", command: "crate run /bin/echo hello" },
    { text: "all about one command", command: "crate help run" },
  ],
};
