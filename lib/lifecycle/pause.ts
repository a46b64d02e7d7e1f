import { freeze, thaw } from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import { lockContainer } from "./claim.ts";
import { isPaused, locationOf } from "./paused.ts";
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
 * @throws {CrateError} `NOT_FOUND`; `STATE` when it is not running, or paused already; as `freeze`.
 */
export async function pauseContainer(root: string, id: string): Promise<void> {
  using _ = await lockContainer(root, id);
  const state = running(root, id);
  if (isPaused(state)) throw new CrateError("STATE", `container "${id}" is paused already`);
  await freeze(locationOf(state.record));
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
  await freeze(location);
  try {
    return await act();
  } finally {
    await thaw(location);
  }
}
