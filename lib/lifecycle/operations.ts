import { close, ESRCH, exists, SIGKILL, SyscallError, trySyscall } from "../../ffi/mod.ts";
import {
  detectLayout,
  killAll,
  loadSystemd,
  locateCgroup,
  removeCgroup,
  removeResctrl,
} from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import { reclaimNetworks } from "./network.ts";
import { letEnd, shownStatus } from "./pause.ts";
import { isAlive, openProcess, type ProcessId } from "./process_id.ts";
import { parseSignal } from "./signals.ts";
import { lockWithin, PATIENCE, tryLock } from "./claim.ts";
import {
  type ContainerRecord,
  type ContainerState,
  listIds,
  listMaking,
  listRetired,
  readRetired,
  readRetiredProcess,
  readState,
  removeDirectory,
  statePaths,
  type Status,
} from "./state.ts";
import { waitForEnd } from "./wait.ts";

/** How long another crate may take to make a container, or to let go of it when it was killed. */
const MAKING_PATIENCE = 2_000;
const DEFAULT_STOP_SIGNAL = "SIGTERM";
const DEFAULT_STOP_TIMEOUT = 10;

function existing(root: string, id: string): ContainerState {
  const state = readState(root, id);
  if (state === undefined) {
    throw new CrateError("NOT_FOUND", `container "${id}" does not exist: crate list shows them`);
  }
  return state;
}

/** The refusal of what only a running container can do. */
export function notRunning(id: string, { status }: ContainerState): CrateError {
  // containerd looks for these words, to know an end from a failure.
  return new CrateError("STATE", `container not running: "${id}" is ${status}`);
}

/** A running container's init, as a pidfd. @throws {CrateError} `STATE` when it is not running. */
export function openInit(root: string, id: string): { pidfd: number; state: ContainerState } {
  const state = existing(root, id);
  const pidfd = state.process && isLive(state.status) ? openProcess(state.process.init) : undefined;
  if (pidfd === undefined) throw notRunning(id, { ...state, status: "stopped" });
  return { pidfd, state };
}

/** Whether it has a process. */
function isLive(status: Status): boolean {
  return status === "running" || status === "created";
}

function send(pidfd: number, signal: number): boolean {
  const result = trySyscall("pidfd_send_signal", pidfd, signal, null, 0);
  if (result < 0 && result !== -ESRCH) throw new SyscallError("pidfd_send_signal", -result);
  return result === 0;
}

/**
 * Sends a signal to a container's first process.
 *
 * @throws {CrateError} `NOT_FOUND`; `STATE` when it is not running.
 */
export function killContainer(root: string, id: string, signal: number): void {
  const { pidfd, state } = openInit(root, id);
  try {
    if (!send(pidfd, signal)) throw notRunning(id, { ...state, status: "stopped" });
    if (signal === SIGKILL) letEnd(state.record);
  } finally {
    close(pidfd);
  }
}

/**
 * Sends a signal to every process of a container, whatever its first one has come to.
 *
 * @throws {CrateError} `NOT_FOUND`; `UNSUPPORTED` for a container without a cgroup of its own.
 */
export function killAllOf(root: string, id: string, signal: number): void {
  const { record } = existing(root, id);
  if (record.cgroupsPath === undefined) {
    throw new CrateError(
      "UNSUPPORTED",
      `container "${id}" has no cgroup of its own to find all by`,
    );
  }
  killAll(locateCgroup(detectLayout(), record.cgroupsPath), signal);
  if (signal === SIGKILL) letEnd(record);
}

/** How to stop a container; what is left out is as the container was started with. */
export interface StopOptions {
  readonly signal?: string;
  /** Seconds until SIGKILL; -1 waits for ever. */
  readonly timeout?: number;
}

/**
 * Asks a container to end, and kills it when it does not in time. One that has ended already is fine.
 *
 * @throws {CrateError} `NOT_FOUND`.
 */
export async function stopContainer(root: string, id: string, o: StopOptions = {}): Promise<void> {
  const state = existing(root, id);
  const { record, process } = state;
  const signal = parseSignal(o.signal ?? record.stopSignal ?? DEFAULT_STOP_SIGNAL);
  const timeout = o.timeout ?? record.stopTimeout ?? DEFAULT_STOP_TIMEOUT;
  if (!isLive(state.status) || process === undefined) return;
  const pidfd = openProcess(process.init);
  if (pidfd === undefined) return;
  try {
    send(pidfd, signal);
    letEnd(record);
    const patience = timeout < 0 ? Infinity : timeout * 1000;
    if (!(await waitForEnd(pidfd, Math.min(patience, 2 ** 31)))) {
      send(pidfd, SIGKILL);
      await waitForEnd(pidfd, PATIENCE);
    }
  } finally {
    close(pidfd);
  }
  await waitForMonitor(process.monitor);
}

/** Until the monitor has recorded the end and cleared away. */
async function waitForMonitor(monitor: ProcessId | undefined): Promise<void> {
  if (monitor === undefined) return;
  const pidfd = openProcess(monitor);
  if (pidfd === undefined) return;
  try {
    await waitForEnd(pidfd, PATIENCE);
  } finally {
    close(pidfd);
  }
}

/**
 * Waits until a container has ended.
 *
 * @returns its exit code.
 * @throws {CrateError} `NOT_FOUND`; `STATE` when nothing is left that tells it.
 */
export async function waitForContainer(root: string, id: string): Promise<number> {
  const state = existing(root, id);
  const { process } = state;
  if (process !== undefined && isLive(state.status)) {
    const pidfd = openProcess(process.init);
    if (pidfd !== undefined) {
      try {
        await waitForEnd(pidfd, Infinity);
      } finally {
        close(pidfd);
      }
    }
    await waitForMonitor(process.monitor);
  }
  const after = readState(root, id);
  const isSame = after?.record.created === state.record.created;
  if (isSame && after.exit !== undefined) return after.exit.code;
  const { remove, engine } = state.record;
  const why = remove
    ? "it was started with --rm"
    : engine
    ? "the engine that created it has it"
    : "its monitor was killed";
  throw new CrateError("STATE", `container "${id}" has ended and left no exit code: ${why}`);
}

/** Removes a container's groups, with what is still in them. @throws {CrateError} */
export async function removeGroups(
  { cgroupsPath, resctrl, systemd }: Pick<ContainerRecord, "cgroupsPath" | "resctrl" | "systemd">,
): Promise<void> {
  if (resctrl !== undefined) removeResctrl(resctrl);
  if (cgroupsPath === undefined) return;
  await removeCgroup(locateCgroup(detectLayout(), cgroupsPath).directories);
  if (systemd !== undefined) (await loadSystemd()).stopUnit(systemd);
}

/** How to delete a container. */
export interface DeleteOptions {
  /** Kill it first when it runs. */
  readonly force?: boolean;
  /** Told what a poststop hook that fails says, which changes nothing. */
  readonly warn?: (message: string) => void;
}

/**
 * Deletes a container, and with `force` kills it first.
 *
 * @throws {CrateError} `NOT_FOUND`; `STATE` when it runs, or is being made, and `force` is not given.
 */
export async function deleteContainer(
  root: string,
  id: string,
  { force = false, warn = () => {} }: DeleteOptions = {},
): Promise<void> {
  if (existing(root, id).status === "creating") {
    if (await clearUnfinished(root, id, force ? MAKING_PATIENCE : 0)) return;
  }
  const { directory } = statePaths(root, id);
  // From here on nobody starts or changes it.
  using lock = await lockWithin(directory, PATIENCE);
  const state = existing(root, id);
  const { record, process, status } = state;
  if (lock === undefined && status !== "creating") {
    throw new CrateError("STATE", `container "${id}" is being changed by another crate right now`);
  }
  if (status === "creating") {
    throw new CrateError("STATE", `container "${id}" is being made by another crate right now`);
  }
  if (status === "running" && !force) {
    throw new CrateError(
      "STATE",
      `container "${id}" is running: stop it first (crate stop ${id}), or delete it with --force`,
    );
  }
  if (process !== undefined) {
    const pidfd = openProcess(process.init);
    if (pidfd !== undefined) {
      try {
        send(pidfd, SIGKILL);
        letEnd(record);
        if (!(await waitForEnd(pidfd, PATIENCE))) {
          throw new CrateError("FAILED", `container "${id}" does not die: pid ${process.init.pid}`);
        }
      } finally {
        close(pidfd);
      }
    }
    await waitForMonitor(process.monitor);
  }
  await removeGroups(record);
  // Its monitor may have given the name away, and it may be another container's by now.
  if (readState(root, id)?.record.created === record.created) {
    await runPoststop(state, directory, warn);
    removeDirectory(directory);
  }
  await reclaimNetworks(root);
}

/** runtime.md, "Lifecycle": one that fails changes nothing. */
async function runPoststop(
  { record }: ContainerState,
  directory: string,
  warn: (message: string) => void,
): Promise<void> {
  const hooks = record.spec.hooks?.poststop;
  if (!hooks?.length) return;
  const { hookState, runHooks } = await import("./hooks.ts");
  const container = { ...record, directory };
  for (const hook of hooks) {
    try {
      await runHooks([hook], "poststop", container, hookState(container, "stopped"));
    } catch (error) {
      if (!(error instanceof CrateError)) throw error;
      warn(error.message);
    }
  }
}

/**
 * Clears what a dead crate left in the middle of making a container: a directory whose lock is free,
 * and no process recorded.
 *
 * @param patience how long to wait for the lock: a crate that was killed over it lets go when the
 *   process that it was about to start has got rid of its descriptors.
 * @returns whether there is nothing any more.
 */
async function clearUnfinished(root: string, id: string, patience = 0): Promise<boolean> {
  const { directory, process } = statePaths(root, id);
  const lock = await lockWithin(directory, patience);
  if (lock === undefined) return !exists(directory);
  using _ = lock;
  if (exists(process)) return false;
  const state = readState(root, id);
  if (state !== undefined) await removeGroups(state.record);
  removeDirectory(directory);
  return true;
}

/**
 * Clears whatever crates that were killed have left: half-made containers, containers of `--rm` whose
 * monitor died with them, directories on their way out.
 */
export async function collectGarbage(root: string): Promise<void> {
  await reclaimNetworks(root);
  for (const directory of listMaking(root)) {
    using lock = tryLock(directory);
    if (lock !== undefined) removeDirectory(directory);
  }
  for (const directory of listRetired(root)) {
    const monitor = readRetiredProcess(directory)?.monitor;
    if (monitor !== undefined && isAlive(monitor)) continue;
    await attempt(async () => {
      const record = readRetired(directory);
      if (record !== undefined) await removeGroups(record);
      removeDirectory(directory);
    });
  }
  for (const id of listIds(root)) {
    await attempt(async () => {
      const state = readState(root, id);
      if (state === undefined || state.status === "creating") await clearUnfinished(root, id);
      else if (
        state.record.remove && state.status === "stopped" &&
        !(state.process?.monitor && isAlive(state.process.monitor))
      ) await deleteContainer(root, id, { force: true });
    });
  }
}

/** What cannot be cleared now, or is cleared by somebody else meanwhile, must not be in the way. */
async function attempt(clear: () => Promise<void>): Promise<void> {
  try {
    await clear();
  } catch (error) {
    if (!(error instanceof CrateError)) throw error;
  }
}

/** All containers, the oldest first, after clearing what dead crates have left. */
export async function listContainers(root: string): Promise<ContainerState[]> {
  await collectGarbage(root);
  return listIds(root)
    .map((id) => readState(root, id))
    .filter((state) => state !== undefined)
    .sort((a, b) => a.record.created < b.record.created ? -1 : 1);
}

/** A container's state, as the runtime-spec has it, and `paused`, as runc. runtime.md, "State" */
export function ociState(state: ContainerState): Record<string, unknown> {
  const { record, status, process } = state;
  return {
    ociVersion: record.spec.ociVersion,
    id: record.id,
    status: shownStatus(state),
    ...(isLive(status) && process ? { pid: process.init.pid } : {}),
    bundle: record.bundle,
    rootfs: record.spec.root?.path ?? "",
    created: record.created,
    ...(record.spec.annotations ? { annotations: record.spec.annotations } : {}),
  };
}
