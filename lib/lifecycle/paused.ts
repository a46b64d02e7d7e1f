import { SyscallError } from "../../ffi/mod.ts";
import {
  type CgroupLocation,
  detectLayout,
  isFrozen,
  locateCgroup,
  release,
} from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import type { ContainerRecord, ContainerState, Status } from "./state.ts";

/** Where a container is stopped. @throws {CrateError} `UNSUPPORTED` for one without a cgroup of its own. */
export function locationOf({ id, cgroupsPath }: ContainerRecord): CgroupLocation {
  if (cgroupsPath !== undefined) return locateCgroup(detectLayout(), cgroupsPath);
  throw new CrateError("UNSUPPORTED", `container "${id}" has no cgroup of its own to stop it by`);
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

/** Lets a container that was paused take its signals, without a wait: what is frozen cannot end. */
export function letEnd({ cgroupsPath }: ContainerRecord): void {
  if (cgroupsPath !== undefined) release(locateCgroup(detectLayout(), cgroupsPath));
}
