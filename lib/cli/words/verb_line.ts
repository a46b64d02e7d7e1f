import { globalOptions } from "./globals.ts";
import type { CommandLine } from "./table.ts";
import { execTable } from "./tables/exec.ts";
import { pullTable } from "./tables/pull.ts";
import { runTable } from "./tables/run.ts";
import { createTable, deleteTable, killTable, startTable, stateTable } from "./tables/verbs.ts";

/**
 * The commands that are called for each container, whose tables load alone: a part of the whole command line, in which
 * words mean what they mean there, or nothing: then the rest is worth loading.
 */
export const verbLine: CommandLine = {
  name: "crate",
  summary: "",
  usage: "",
  options: globalOptions,
  commands: [
    stateTable,
    startTable,
    killTable,
    deleteTable,
    createTable,
    execTable,
    runTable,
    pullTable,
  ],
  groups: [],
  examples: [],
};
