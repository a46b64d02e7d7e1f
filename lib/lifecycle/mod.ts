/**
 * A container's life: from config to program to running process to state on disk, and what can be
 * done with it meanwhile.
 *
 * @module
 */
export {
  type ClaimedNetwork,
  prepareContainer,
  type Prepared,
  startContainer,
  type Started,
  type StartOptions,
} from "./container.ts";
export { checkpointContainer, restoreContainer } from "./checkpoint.ts";
export { createContainer, type CreateOptions, requireConsole, writePidFile } from "./create.ts";
export { waitForExit } from "./ended.ts";
export { type ContainerRoot, execInContainer, type ExecOptions } from "./exec.ts";
export {
  type Foreground,
  type ForegroundOptions,
  prepareForeground,
  runInForeground,
  stayInForeground,
  terminalSettings,
  windowSize,
} from "./foreground.ts";
export { addMounts, removeMounts } from "./change_mounts.ts";
export { isDirectory } from "./facts.ts";
export { type LogFrame, readFrames, tailFrames } from "./logs.ts";
export {
  collectGarbage,
  deleteContainer,
  type DeleteOptions,
  killAllOf,
  killContainer,
  listContainers,
  ociState,
  stopContainer,
  type StopOptions,
  waitForContainer,
} from "./operations.ts";
export { INIT_ANNOTATION } from "./program/mod.ts";
export { isPaused, pauseContainer, resumeContainer, shownStatus, whilePaused } from "./pause.ts";
export {
  foreignOf,
  openNetworkOf,
  reclaimNetworks,
  type RecordedNetwork,
  requested,
  requestedForeign,
} from "./network.ts";
export { enterUserNamespace, isInitialUserNamespace, rootlessDefault } from "./rootless.ts";
export { startAgain } from "./restart.ts";
export { becomeNotifier, type ReadyEnds, type Starting } from "./notify.ts";
export { startCreated } from "./start_created.ts";
export { type ContainerStats, containerStats } from "./stats.ts";
export { openRootfs, type OverlayDirectories, overlayOf } from "./rootfs.ts";
export { ociFeatures } from "./features.ts";
export { updateContainer } from "./update.ts";
export { containerPids, containerProcesses, type ContainerProcessInfo } from "./top.ts";
export { parseSignal, signalName } from "./signals.ts";
export { type Launched, nullStdio, type Stdio } from "./start.ts";
export {
  type ContainerRecord,
  type ContainerState,
  type Exit,
  findId,
  listIds,
  readState,
  statePaths,
  type Status,
} from "./state.ts";
export {
  Container,
  type ContainerOptions,
  type ContainerOutput,
  ContainerProcess,
  type ContainerStatus,
  type ContainerStdio,
  DEFAULT_ROOT,
} from "./command.ts";
export { hostView, IMAGE_ANNOTATION, makeSpec } from "./options.ts";
