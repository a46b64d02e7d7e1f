import { exists, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { tryLock } from "./claim.ts";
import { clearUnfinished, deleteContainer, removeGroups } from "./delete.ts";
import { reclaimNetworks } from "./network.ts";
import { isAlive } from "./process_id.ts";
import {
  type ContainerState,
  listIds,
  listMaking,
  listRetired,
  mountPoint,
  readRetired,
  readRetiredProcess,
  readState,
  removeDirectory,
} from "./state.ts";

/**
 * Clears whatever crates that were killed have left: half-made containers, containers of `--rm` whose
 * monitor died with them, directories on their way out.
 */
export async function collectGarbage(root: string): Promise<void> {
  await reclaimNetworks(root);
  // Nothing in a directory where crate has never made anything is its own.
  if (!exists(mountPoint(root))) return;
  for (const directory of listMaking(root)) {
    using lock = tryLock(directory);
    if (lock !== undefined) await attempt(() => Promise.resolve(removeDirectory(directory)));
  }
  for (const directory of listRetired(root)) {
    const monitor = readRetiredProcess(directory)?.monitor;
    if (monitor !== undefined && isAlive(monitor)) continue;
    await attempt(async () => {
      const record = readRetired(directory);
      // An engine's has none any more, and by now there may be another container with groups of the same names.
      if (record !== undefined && !record.engine) await removeGroups(record);
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
    if (!(error instanceof CrateError || error instanceof SyscallError)) throw error;
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
