import { AT_FDCWD, EEXIST, RENAME_NOREPLACE, SyscallError, trySyscall } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { validateId } from "../spec/mod.ts";
import { inUse, isOwn, type Lock, lockContainer, replaceRecord } from "./claim.ts";
import { existing } from "./kill.ts";
import {
  type ContainerRecord,
  type ContainerState,
  isLive,
  listIds,
  readState,
  statePaths,
} from "./state.ts";
import { waitForMonitor } from "./stop.ts";

/** How what else knows a container by its state directory learns of another: `lib/image`'s store. */
export type Around = (from: string, to: string, move: () => Promise<void>) => Promise<void>;

/**
 * Gives a container another name: its state directory's, which is one step, and what others know it by.
 *
 * A running one keeps its process, groups and network. Its monitor holds the directory and finds it again; of one that is
 * to be removed at its end, the monitor knows the name, which has to stay.
 *
 * @throws {CrateError} `NOT_FOUND`; `INVALID` for what is no name; `EXISTS` for one that is in use; `STATE` for a
 *   container whose name somebody relies on. It has its name still then.
 */
export async function renameContainer(
  root: string,
  id: string,
  to: string,
  around: Around = (_from, _to, move) => move(),
): Promise<void> {
  validateId(to);
  if (id === to) throw new CrateError("EXISTS", `container "${id}" has that name already`);
  const { directory } = statePaths(root, id);
  const target = statePaths(root, to).directory;
  using lock = await lockContainer(root, id);
  const state = existing(root, id);
  if (!isOwn(lock, directory)) {
    throw new CrateError("STATE", `container "${id}" is being changed by another crate right now`);
  }
  requireRenamable(state);
  if (readState(root, to) !== undefined) throw inUse(root, to);
  // One that has just ended may be being cleared away.
  if (!isLive(state.status)) await waitForMonitor(state.process?.monitor);
  using joined = await lockJoined(root, id);
  const record = withHostname(state.record);
  if (record !== state.record) replaceRecord(lock, root, record);
  forgetExec(lock);
  await around(directory, target, async () => {
    const back = await renameOnNetworks(record, to);
    try {
      move(root, id, to);
    } catch (error) {
      await back();
      throw error;
    }
  });
  // What was made ready by the old name in between.
  forgetExec(lock);
  replaceRecord(lock, root, { ...record, id: to });
  for (const { lock, record } of joined.all) {
    replaceRecord(lock, root, { ...record, network: { kind: "container", id: to } });
  }
}

/** @throws {CrateError} `STATE` */
function requireRenamable({ record, status, process }: ContainerState): void {
  const { id } = record;
  const refuse = (why: string) => new CrateError("STATE", `container "${id}" ${why}`);
  if (record.engine) throw refuse("was created by an engine, which knows it by its name");
  if (status === "creating") throw refuse("is being made by another crate right now");
  if (record.remove) throw refuse("was started with --rm, and is removed by the name it has");
  if (!isLive(status) || process?.movable) return;
  throw refuse("runs under the monitor of an older crate: rename it when it has ended");
}

/** What it calls itself stays, when it is started again, too. */
function withHostname(record: ContainerRecord): ContainerRecord {
  const { network, id } = record;
  if (network === undefined || network.kind === "container") return record;
  if (network.request.hostname !== undefined) return record;
  const hostname = record.spec.hostname ?? id;
  if (network.kind === "networks") {
    return { ...record, network: { ...network, request: { ...network.request, hostname } } };
  }
  return { ...record, network: { ...network, request: { ...network.request, hostname } } };
}

/** An exec that was left ready names files in the directory by its old name. */
function forgetExec({ fd }: Lock): void {
  trySyscall("unlinkat", fd, "exec", 0);
}

/** @returns what takes it back. */
async function renameOnNetworks(
  { id, network }: ContainerRecord,
  to: string,
): Promise<() => Promise<void>> {
  if (network?.kind !== "networks") return () => Promise.resolve();
  const { loadChanges, networkPlaces } = await import("../network/mod.ts");
  const { renameAttachment } = await loadChanges();
  const places = networkPlaces(network.store);
  const hostname = network.request.hostname ?? id;
  await renameAttachment(places, id, to, hostname);
  return () => renameAttachment(places, to, id, hostname);
}

function move(root: string, id: string, to: string): void {
  const { directory } = statePaths(root, id);
  const target = statePaths(root, to).directory;
  const result = trySyscall("renameat2", AT_FDCWD, directory, AT_FDCWD, target, RENAME_NOREPLACE);
  if (result === -EEXIST) throw inUse(root, to);
  if (result < 0) throw new SyscallError("renameat2", -result, target);
}

/** The containers that share a container's network by its name, locked. */
async function lockJoined(root: string, id: string) {
  using stack = new DisposableStack();
  const all: { lock: Lock; record: ContainerRecord }[] = [];
  for (const other of listIds(root)) {
    const joins = (state?: ContainerState) => {
      const network = state?.record.network;
      return network?.kind === "container" && network.id === id;
    };
    if (!joins(readState(root, other))) continue;
    const lock = stack.use(await lockContainer(root, other));
    const state = readState(root, other);
    if (state !== undefined && joins(state)) all.push({ lock, record: state.record });
  }
  const owned = stack.move();
  return { all, [Symbol.dispose]: () => owned.dispose() };
}
