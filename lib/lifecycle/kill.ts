import { close, ESRCH, SIGKILL, SyscallError, trySyscall } from "../../ffi/mod.ts";
import { detectLayout, killAll, locateCgroup } from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import { letEnd } from "./paused.ts";
import { openProcess } from "./process_id.ts";
import { type ContainerState, isLive, readState } from "./state.ts";

/** A container's state. @throws {CrateError} `NOT_FOUND` */
export function existing(root: string, id: string): ContainerState {
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

/** @returns false when the process has ended already. */
export function send(pidfd: number, signal: number): boolean {
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
