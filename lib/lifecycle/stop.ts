import { close, SIGKILL } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { existing, send } from "./kill.ts";
import { letEnd } from "./paused.ts";
import { openProcess, type ProcessId } from "./process_id.ts";
import { parseSignal } from "./signals.ts";
import { isLive, readState } from "./state.ts";
import { PATIENCE } from "./time.ts";
import { waitForEnd } from "./wait.ts";

const DEFAULT_STOP_SIGNAL = "SIGTERM";
const DEFAULT_STOP_TIMEOUT = 10;

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

/** Until the monitor has recorded the end and cleared away. */
export async function waitForMonitor(monitor: ProcessId | undefined): Promise<void> {
  if (monitor === undefined) return;
  const pidfd = openProcess(monitor);
  if (pidfd === undefined) return;
  try {
    await waitForEnd(pidfd, PATIENCE);
  } finally {
    close(pidfd);
  }
}
