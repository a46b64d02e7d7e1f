// What the root tests stand on: a sandbox for each test, the command in it, a real terminal, and a
// program that asks the kernel. They run one after the other in one process.
export { controllerVersion, groupDirectories, readGroupFile } from "./cgroups.ts";
export { reapOrphans, stateIn } from "./leftovers.ts";
export { type Probe, probe } from "./probe.ts";
export { assertEnded, type Result, Running, type RunningOptions } from "./running.ts";
export {
  delay,
  EMULATED,
  EVERYWHERE_THE_SAME,
  Sandbox,
  test,
  type TestOptions,
  until,
} from "./sandbox.ts";
export { Terminal } from "./terminal.ts";
export { inTurn, isTurn } from "./turns.ts";
