// From config to program: a container, a process in one, and the relay of a foreground command.
export { below, Scope } from "./scope.ts";
export { compileAddMount, compileRemoveMount } from "./change_mounts.ts";
export { receiveDescriptor, sendDescriptor } from "./console.ts";
export { compileContainer, INIT_ANNOTATION } from "./compile.ts";
export { hasListener } from "./listener.ts";
export { candidates } from "./execute.ts";
export { deviceNumber } from "./devices.ts";
export { isBind, isIdmapped } from "./mounts.ts";
export { compileHolder, compileNetworkHolder } from "./holder.ts";
export { mappedOverlay, needsLayers, rootMount } from "./root.ts";
/** Loads what mounts a root of id-mapped layers: few need it. */
export const loadMappedOverlay = () => import("./mapped_overlay.ts");
/** Loads what compiles the program that executes criu: few need it. */
export const loadCriu = () => import("./criu.ts");
export { compileEngineExecVerb } from "./engine_exec_verb.ts";
export { compileExecVerb } from "./exec_verb.ts";
export { prepareOwnExecution } from "./own_words.ts";
export type { WalkedExec } from "./walked_exec.ts";
export { compileExec, EXEC_PIDFD, type ExecInput } from "./exec.ts";
export { compileHook, FIRST_KEPT, type HookInput } from "./hook.ts";
export { hasUserNamespace } from "./identity.ts";
export { FRAME_SIZE } from "./log.ts";
export { isNew, namespace, namespaceFlag } from "./namespaces.ts";
export { compileNotifier, type Notification } from "./notify.ts";
export { compileRelay, loadRelayParts, RELAY_CONSOLE, type RelayParts } from "./relay.ts";
export type { RelayTerminal } from "./relay_console.ts";
export type {
  CgroupHierarchy,
  CgroupJoin,
  CompileInput,
  EngineOptions,
  HostFacts,
  HostPart,
  LeaveStep,
  MonitorOptions,
  Preserved,
} from "./input.ts";
export * from "./protocol.ts";
export { type CompiledVerbs, compileVerbs, VERBS, VERBS_KIND, type VerbsInput } from "./verbs.ts";
export { compileCreateVerb, type CreateInput } from "./create_verb.ts";
export type { Filling, RecordFilling, WalkedContainer } from "./walked_container.ts";
export { compileResident, type Resident, type ResidentInput } from "./resident.ts";
export { compileRunVerb, type RunInput } from "./run_verb.ts";
export type { RunRequest } from "./run_request.ts";
export { canWrite } from "./command_letters.ts";
export type { CreateGroups } from "./create_groups.ts";
export type { WalkedHost } from "./check_host.ts";
export type { CreateRequest, Hole } from "./create_request.ts";
export { CLOCK, PID_DIGITS } from "./digits.ts";
export { PROCESS_TEXT } from "./lines.ts";
export { findWords, latin1 } from "./find_words.ts";
export { IDENTITY, STATX_MNT_ID } from "./mount_identity.ts";
export { compileEnter, compileUserNamespace } from "./user_namespace.ts";
