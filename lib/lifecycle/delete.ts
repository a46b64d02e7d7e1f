import { close, exists, SIGKILL } from "../../ffi/mod.ts";
import {
  detectLayout,
  loadResctrl,
  loadSystemd,
  locateCgroup,
  removeCgroup,
} from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import { isOwn, lockWithin } from "./claim.ts";
import { existing, send } from "./kill.ts";
import { reclaimNetworks } from "./network.ts";
import { letEnd } from "./paused.ts";
import { openProcess } from "./process_id.ts";
import {
  type ContainerRecord,
  type ContainerState,
  readState,
  removeDirectory,
  removeLeft,
  statePaths,
} from "./state.ts";
import { waitForMonitor } from "./stop.ts";
import { PATIENCE } from "./time.ts";
import { waitForEnd } from "./wait.ts";
import { hookState } from "./hook_state.ts";

/** How long another crate may take to make a container, or to let go of it when it was killed. */
const MAKING_PATIENCE = 2_000;

/** Removes a container's groups, with what is still in them. @throws {CrateError} */
export async function removeGroups(
  { cgroupsPath, resctrl, systemd }: Pick<ContainerRecord, "cgroupsPath" | "resctrl" | "systemd">,
): Promise<void> {
  if (resctrl !== undefined) (await loadResctrl()).removeResctrl(resctrl);
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
  const { directory, process: processFile } = statePaths(root, id);
  if (!exists(processFile) && existing(root, id).status === "creating") {
    if (await clearUnfinished(root, id, force ? MAKING_PATIENCE : 0)) return;
  }
  // From here on nobody starts or changes it.
  using lock = await lockWithin(directory, PATIENCE);
  const state = existing(root, id);
  const { record, process, status } = state;
  if (status === "creating") {
    throw new CrateError("STATE", `container "${id}" is being made by another crate right now`);
  }
  if (lock === undefined) {
    throw new CrateError("STATE", `container "${id}" is being changed by another crate right now`);
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
  if (isOwn(lock, directory)) {
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
  const { runHooks } = await import("./hooks.ts");
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
export async function clearUnfinished(root: string, id: string, patience = 0): Promise<boolean> {
  const { directory, process } = statePaths(root, id);
  const lock = await lockWithin(directory, patience);
  if (lock === undefined) return !exists(directory);
  using _ = lock;
  if (exists(process)) return false;
  const state = readState(root, id);
  if (state === undefined) return removeLeft(directory);
  await removeGroups(state.record);
  removeDirectory(directory);
  return true;
}
