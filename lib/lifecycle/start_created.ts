import {
  close,
  ECONNREFUSED,
  ECONNRESET,
  EINTR,
  ENOENT,
  EPIPE,
  MSG_NOSIGNAL,
  SyscallError,
  trySyscall,
  unlink,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { lockContainer } from "./claim.ts";
import { startError } from "./errors.ts";
import { hookState } from "./hook_state.ts";
import { closeEnds, listenForReady, type Starting } from "./notify.ts";
import { isPaused } from "./paused.ts";
import { RECORD_SIZE } from "./program/mod.ts";
import { connectTo } from "./sockets.ts";
import { type ContainerState, type ProcessRecord, readState, statePaths } from "./state.ts";
import { takeStartFailure } from "./start_failure.ts";

/** What a socket answers whose init has been killed meanwhile. */
const GONE: readonly number[] = [ECONNREFUSED, ECONNRESET, ENOENT, EPIPE];

/**
 * Starts a created container: when this returns, its program has been executed. runtime.md, "Start"
 *
 * @param warn told what a poststart hook that fails says, which changes nothing.
 * @param notifySocket the service manager's, on which it hears that the container is ready.
 * @returns what to wait for then.
 * @throws {CrateError} `STATE` when it is not created; `START` and the rest when a step of it fails: the
 *   container has ended then.
 */
export async function startCreated(
  root: string,
  id: string,
  warn: (message: string) => void,
  notifySocket?: string,
): Promise<Starting | undefined> {
  const { directory } = statePaths(root, id);
  using _ = await lockContainer(root, id);
  const state = readState(root, id);
  if (state === undefined) {
    throw new CrateError("NOT_FOUND", `container "${id}" does not exist: crate list shows them`);
  }
  const { process } = state;
  const failure = takeStartFailure(directory);
  if (failure !== undefined) throw failed(failure, process);
  if (state.status !== "created" || process === undefined) throw notCreated(state);
  // It would not answer.
  if (isPaused(state)) {
    throw new CrateError("STATE", `container "${id}" cannot be started: it is paused`);
  }
  const ends = notifySocket ? listenForReady(directory, notifySocket) : undefined;
  try {
    await begin(root, state, process, warn);
    return ends && { init: process.init, ends };
  } catch (error) {
    if (ends !== undefined) closeEnds(ends);
    throw error;
  }
}

async function begin(
  root: string,
  state: ContainerState,
  process: ProcessRecord,
  warn: (message: string) => void,
): Promise<void> {
  const { record } = state;
  const { directory, start } = statePaths(root, record.id);
  const container = { ...record, directory };
  const { hooks } = record.spec;
  for (const [index, hook] of (hooks?.startContainer ?? []).entries()) {
    const field = `hooks.startContainer[${index}] (${hook.path})`;
    const { runInside } = await import("./exec.ts");
    try {
      await runInside(state, root, hook, hookState(container, "created", process.init.pid));
    } catch (cause) {
      if (!(cause instanceof CrateError)) throw cause;
      trySyscall("kill", process.init.pid, 9);
      throw new CrateError("START", `${field}: ${cause.message}`, { cause });
    }
  }
  try {
    letGo(start, process);
    unlink(start);
  } catch (error) {
    if (!(error instanceof SyscallError) || !GONE.includes(error.errno)) throw error;
    throw notCreated({ ...state, status: "stopped" });
  }
  if (!hooks?.poststart?.length) return;
  const { runHooks } = await import("./hooks.ts");
  const after = hookState(container, "running", process.init.pid);
  try {
    await runHooks(hooks.poststart, "poststart", container, after);
  } catch (error) {
    if (!(error instanceof CrateError)) throw error;
    warn(error.message);
  }
}

function notCreated({ record: { id }, status }: ContainerState): CrateError {
  const why = status === "running"
    ? "it runs already"
    : status === "stopped"
    ? "it has ended"
    : `it is ${status}`;
  return new CrateError("STATE", `container "${id}" cannot be started: ${why}`);
}

/** Sends the byte that the init waits for, and waits until it has executed the user's program. */
function letGo(start: string, process: ProcessRecord): void {
  const connection = connectTo(start, "packets");
  try {
    const sent = trySyscall("sendto", connection, new Uint8Array([1]), 1, MSG_NOSIGNAL, null, 0);
    if (sent < 0) throw new SyscallError("sendto", -sent, start);
    const record = new Uint8Array(RECORD_SIZE);
    let count: number;
    do count = trySyscall("read", connection, record, RECORD_SIZE); while (count === -EINTR);
    if (count < 0) throw new SyscallError("read", -count, start);
    if (count === RECORD_SIZE) throw failed(record, process);
  } finally {
    close(connection);
  }
}

/** What the init has told: the address of the step that failed, and its result. */
function failed(record: Uint8Array<ArrayBuffer>, process: ProcessRecord | undefined): CrateError {
  const view = new DataView(record.buffer);
  const label = process?.startSteps?.[String(view.getBigUint64(0, true))];
  return startError(label ?? "an unknown step", -Number(view.getBigInt64(8, true)));
}
