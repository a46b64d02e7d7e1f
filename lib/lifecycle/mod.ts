/**
 * A container's life: from config to program to running process to state on disk, and what can be
 * done with it meanwhile.
 *
 * @module
 */
export type { ClaimedNetwork } from "./claimed_network.ts";
export {
  prepareContainer,
  type Prepared,
  startContainer,
  type Started,
  type StartOptions,
} from "./container.ts";
export { checkpointContainer, restoreContainer } from "./checkpoint.ts";
export { createContainer, type CreateOptions } from "./create.ts";
export { requireConsole, writePidFile } from "./engine_files.ts";
export { waitForExit } from "./ended.ts";
export { type ContainerRoot, execInContainer, type ExecOptions } from "./exec.ts";
export type { Made } from "./create_input.ts";
export { CREATE_KIND, type CreateRequest, offerCreate } from "./offer_create.ts";
export {
  ANY_SLOTS,
  offerRun,
  RUN_KIND,
  RUN_SLOTS,
  type RunCallWords,
  type RunCommand,
  type RunOffer,
} from "./offer_run.ts";
export { EXEC_VERB_KIND, offerEngineExec, offerExec } from "./offer_exec.ts";
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
export { requireUsers, type UserNamespace, withIds } from "./id_ranges.ts";
export { isDirectory } from "./facts.ts";
export { type LogFrame, readFrames, tailFrames } from "./logs.ts";
export { deleteContainer, type DeleteOptions } from "./delete.ts";
export { renameContainer } from "./rename.ts";
export { killAllOf, killContainer } from "./kill.ts";
export { collectGarbage, listContainers } from "./list.ts";
export { ociState } from "./oci_state.ts";
export { untilReady } from "./ready.ts";
export { stopContainer, type StopOptions, waitForContainer } from "./stop.ts";
export { canWrite, INIT_ANNOTATION, loadRelayParts } from "./program/mod.ts";
export { pauseContainer, resumeContainer, whilePaused } from "./pause.ts";
export { isPaused, shownStatus } from "./paused.ts";
export {
  foreignOf,
  openNetworkOf,
  reclaimNetworks,
  type RecordedNetwork,
  requested,
  requestedForeign,
} from "./network.ts";
export { enterUserNamespace, rootlessDefault } from "./rootless.ts";
export { startAgain } from "./restart.ts";
export { becomeNotifier } from "./notifier.ts";
export type { ReadyEnds, Starting } from "./notify.ts";
export { startCreated } from "./start_created.ts";
export { type ContainerStats, containerStats } from "./stats.ts";
export { containerIds } from "./container_ids.ts";
export { makeFilesAs } from "./file_ids.ts";
export { isWithin, openRootView, type RootView } from "./root_view.ts";
export { type OpenedRootfs, openRootfs, type OverlayDirectories, overlayOf } from "./rootfs.ts";
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
export { IMAGE_ANNOTATION } from "./annotations.ts";
export { hostView, makeSpec } from "./options.ts";
