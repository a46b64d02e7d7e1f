import { isAlive, readText, SIGKILL } from "../../ffi/mod.ts";
import { freeze, isGroupGone, thaw } from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import { lockContainer } from "./claim.ts";
import { isPaused, locationOf } from "./paused.ts";
import type { ProcessId } from "./process_id.ts";
import { type ContainerState, readState } from "./state.ts";

function running(root: string, id: string): ContainerState {
  const state = readState(root, id);
  if (state === undefined) {
    throw new CrateError("NOT_FOUND", `container "${id}" does not exist: crate list shows them`);
  }
  if (state.status === "running" || state.status === "created") return state;
  throw new CrateError("STATE", `container not running: "${id}" is ${state.status}`);
}

/**
 * Stops all of a container's processes where they are.
 *
 * @throws {CrateError} `NOT_FOUND`; `STATE` when it is not running, or paused already, or ends meanwhile; as `freeze`.
 */
export async function pauseContainer(root: string, id: string): Promise<void> {
  using _ = await lockContainer(root, id);
  const state = running(root, id);
  if (isPaused(state)) throw new CrateError("STATE", `container "${id}" is paused already`);
  const location = locationOf(state.record);
  const { init } = state.process!;
  // Who kills takes no lock: it may have been sent SIGKILL a moment before.
  const ended = () => new CrateError("STATE", `container not running: "${id}" was killed`);
  try {
    await freeze(location);
  } catch (error) {
    throw isGroupGone(error) && !isAlive(init) ? ended() : error;
  }
  if (!isKilled(init)) return;
  // Standing still it would never end.
  await thaw(location);
  throw ended();
}

/** Whether SIGKILL is on its way to a process. proc(5), /proc/pid/status */
function isKilled(init: ProcessId): boolean {
  let text: string;
  try {
    text = readText(`/proc/${init.pid}/status`);
  } catch (error) {
    // ENOENT, or ESRCH when it ends between open and read.
    if (!isAlive(init)) return true;
    throw error;
  }
  const pending = text.matchAll(/^(?:SigPnd|ShdPnd):\t([0-9a-f]+)$/gm);
  return [...pending].some(([, mask]) => (BigInt(`0x${mask}`) >> BigInt(SIGKILL - 1) & 1n) !== 0n);
}

/**
 * Lets a paused container go on.
 *
 * @throws {CrateError} `NOT_FOUND`; `STATE` when it is not paused; as `thaw`.
 */
export async function resumeContainer(root: string, id: string): Promise<void> {
  using _ = await lockContainer(root, id);
  const state = running(root, id);
  if (!isPaused(state)) throw new CrateError("STATE", `container "${id}" is not paused`);
  await thaw(locationOf(state.record));
}

/**
 * Does something while all of a running container's processes stand still.
 *
 * @throws {CrateError} as `freeze`.
 */
export async function whilePaused<T>(state: ContainerState, act: () => Promise<T>): Promise<T> {
  if (state.status !== "running" || isPaused(state)) return await act();
  const location = locationOf(state.record);
  try {
    await freeze(location);
  } catch (error) {
    // It has just ended: nothing of it moves.
    if (!isGroupGone(error)) throw error;
  }
  try {
    return await act();
  } finally {
    await thaw(location);
  }
}
