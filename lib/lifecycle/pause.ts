import { SyscallError } from "../../ffi/mod.ts";
import {
  type CgroupLocation,
  detectLayout,
  freeze,
  isFrozen,
  locateCgroup,
  release,
  thaw,
} from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import { lockContainer } from "./claim.ts";
import { type ContainerRecord, type ContainerState, readState, type Status } from "./state.ts";

function locationOf({ id, cgroupsPath }: ContainerRecord): CgroupLocation {
  if (cgroupsPath !== undefined) return locateCgroup(detectLayout(), cgroupsPath);
  throw new CrateError("UNSUPPORTED", `container "${id}" has no cgroup of its own to stop it by`);
}

function running(root: string, id: string): ContainerState {
  const state = readState(root, id);
  if (state === undefined) {
    throw new CrateError("NOT_FOUND", `container "${id}" does not exist: crate list shows them`);
  }
  if (state.status === "running" || state.status === "created") return state;
  throw new CrateError("STATE", `container not running: "${id}" is ${state.status}`);
}

/** Whether all of a container's processes stand still. */
export function isPaused({ record, status }: ContainerState): boolean {
  if (status !== "running" && status !== "created" || record.cgroupsPath === undefined) {
    return false;
  }
  try {
    return isFrozen(locationOf(record));
  } catch (error) {
    // Its groups are gone with it, or this host has no freezer.
    if (error instanceof SyscallError || error instanceof CrateError) return false;
    throw error;
  }
}

/** A container's status as people and engines are told it: one that is paused still runs. */
export function shownStatus(state: ContainerState): Status | "paused" {
  return isPaused(state) ? "paused" : state.status;
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

/** Lets a container that was paused take its signals, without a wait: what is frozen cannot end. */
export function letEnd({ cgroupsPath }: ContainerRecord): void {
  if (cgroupsPath !== undefined) release(locateCgroup(detectLayout(), cgroupsPath));
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
