/**
 * The command line: a table of commands and options, the parser that reads words by it, and the
 * help and the error sentences made from it.
 *
 * @module
 */
export { commandLine, type ConfigCall, type SpecCall, type VersionCall } from "./commands.ts";
export type { Globals } from "./globals.ts";
export type { Explanation } from "./explain.ts";
export { explainWords, parseWords } from "./parse.ts";
export type {
  Call,
  CommandLine,
  CommandModule,
  CommandTable,
  CommandTableOf,
  CommandText,
  Example,
  GroupTable,
  OptionTable,
  OptionValue,
  OptionValues,
  Parsed,
  PositionalTable,
} from "./table.ts";
export type {
  ListCall,
  LogsCall,
  PauseCall,
  RenameCall,
  StatsCall,
  StopCall,
  TopCall,
  WaitCall,
} from "./tables/containers.ts";
export type {
  CommitCall,
  DiffCall,
  ExportCall,
  ImportCall,
  LoadCall,
  SaveCall,
} from "./tables/archives.ts";
export type {
  ContainerInspectCall,
  DfCall,
  HistoryCall,
  ImageInspectCall,
  ImagesCall,
  InspectCall,
  LoginCall,
  LogoutCall,
  PruneCall,
  PushCall,
  RmiCall,
  TagCall,
} from "./tables/images.ts";
export type { CpCall } from "./tables/copy.ts";
export type { CheckpointCall, RestoreCall } from "./tables/checkpoint.ts";
export type { EventsCall, FeaturesCall, MountsCall, PsCall, UpdateCall } from "./tables/engine.ts";
export { type ExecCall, execTable } from "./tables/exec.ts";
export type {
  NetworkConnectCall,
  NetworkCreateCall,
  NetworkDisconnectCall,
  NetworkInspectCall,
  NetworkListCall,
  NetworkPruneCall,
  NetworkRemoveCall,
  PortCall,
} from "./tables/networks.ts";
export { type PullCall, pullTable } from "./tables/pull.ts";
export { type RunCall, runTable } from "./tables/run.ts";
export {
  type CreateCall,
  createTable,
  type DeleteCall,
  deleteTable,
  type KillCall,
  killTable,
  type StartCall,
  startTable,
  type StateCall,
  stateTable,
} from "./tables/verbs.ts";
export type { ContainerPruneCall, SystemPruneCall } from "./tables/system.ts";
export type {
  VolumeCreateCall,
  VolumeInspectCall,
  VolumeListCall,
  VolumePruneCall,
  VolumeRemoveCall,
} from "./tables/volumes.ts";
export { parseVerb, verbOf } from "./verb_line.ts";
