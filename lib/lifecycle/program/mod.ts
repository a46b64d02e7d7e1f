// From config to program: a container, a process in one, and the relay of a foreground command.
export { Scope } from "./scope.ts";
export { receiveDescriptor } from "./console.ts";
export { compileContainer, INIT_ANNOTATION } from "./compile.ts";
export { candidates, EXECUTE } from "./execute.ts";
export { deviceNumber } from "./devices.ts";
export { isBind } from "./mounts.ts";
export { needsLayers } from "./root.ts";
export { compileExec, EXEC_PIDFD, type ExecInput } from "./exec.ts";
export { FRAME_SIZE } from "./log.ts";
export { namespace, namespaceFlag } from "./namespaces.ts";
export { compileRelay, type RelayTerminal } from "./relay.ts";
export type {
  CgroupHierarchy,
  CgroupJoin,
  CompileInput,
  HostFacts,
  MonitorOptions,
} from "./input.ts";
export * from "./protocol.ts";
