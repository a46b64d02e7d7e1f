/**
 * The command line: a table of commands and options, the parser that reads words by it, and the
 * help and the error sentences made from it.
 *
 * @module
 */
export { commandLine, type Globals } from "./commands.ts";
export { explainWords, type Explanation, parseWords } from "./parse.ts";
export type {
  Call,
  CommandLine,
  CommandModule,
  CommandTable,
  CommandTableOf,
  CommandText,
  Example,
  OptionTable,
  OptionValue,
  OptionValues,
  Parsed,
  PositionalTable,
} from "./table.ts";
export type {
  DeleteCall,
  KillCall,
  ListCall,
  LogsCall,
  StateCall,
  StopCall,
} from "./tables/containers.ts";
export type { ConfigCall, VersionCall } from "./tables/crate.ts";
export type { ExecCall } from "./tables/exec.ts";
export type { RunCall } from "./tables/run.ts";
