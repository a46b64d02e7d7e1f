import { AT_FDCWD, ENOENT, SyscallError, trySyscall } from "../../ffi/mod.ts";
import { createCgroup, loadResctrl } from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import { type Lock, recordProcess, replaceRecord, tryLock } from "./claim.ts";
import { prepareContainer, takeNetDevices } from "./container.ts";
import { equip, giveFiles } from "./equip.ts";
import { makeIdmaps } from "./idmap.ts";
import type { MovedDevices } from "./net_devices.ts";
import { claimAgain, type Claimed } from "./network.ts";
import { removeGroups } from "./delete.ts";
import {
  closeEnds,
  listenForReady,
  makeNotifyDirectory,
  type ReadyEnds,
  type Starting,
} from "./notify.ts";
import { shownStatus } from "./paused.ts";
import { isAlive } from "./process_id.ts";
import { allowMount } from "./rootfs.ts";
import { openListener } from "./seccomp_listener.ts";
import { early } from "./stages.ts";
import { launch, type Launched, nullStdio } from "./start.ts";
import { type ContainerState, readState, statePaths } from "./state.ts";
import { enterUnit } from "./unit.ts";
import { withGroup } from "./group.ts";

/** Where the last end is kept until the container runs again. */
export const BEFORE = "exit.before";

/**
 * Starts a container that has ended once more, in the background: with the config that it had, on what it has written.
 * Its log goes on.
 *
 * @param notifySocket the service manager's, on which it hears that the container is ready.
 * @returns what to wait for then.
 * @throws {CrateError} `NOT_FOUND`; `STATE` when it has not ended, or another is at it; `START` and the rest
 *   as `startContainer`: it stays as it was then.
 */
export async function startAgain(
  root: string,
  id: string,
  notifySocket?: string,
): Promise<Starting | undefined> {
  const { directory } = statePaths(root, id);
  using lock = tryLock(directory);
  const state = readState(root, id);
  if (state === undefined) {
    throw new CrateError("NOT_FOUND", `container "${id}" does not exist: crate list shows them`);
  }
  if (lock === undefined) {
    throw new CrateError("STATE", `container "${id}" is being started or deleted by another crate`);
  }
  if (state.record.engine) {
    throw new CrateError(
      "STATE",
      `container "${id}" was created by an engine, which starts it once only`,
    );
  }
  requireEnded(state);
  const { record } = state;
  using network = await claimAgain(root, id, record);
  try {
    return await startEnded(root, state, lock, { network, notifySocket });
  } catch (error) {
    await network.claim?.release();
    throw error;
  }
}

async function startEnded(
  root: string,
  { record: recorded }: ContainerState,
  lock: Lock,
  { network, notifySocket }: { readonly network: Claimed; readonly notifySocket?: string },
): Promise<Starting | undefined> {
  const { id } = recorded;
  const { directory } = statePaths(root, id);
  const record = { ...recorded, spec: network.joined(recorded.spec) };
  const none = nullStdio();
  const { program, cgroup, resctrl, unit } = await prepareContainer({
    ...record,
    root,
    network: network.claim,
    notifySocket,
    systemd: record.systemd !== undefined,
    // A unit's path is made of the config's again.
    spec: record.cgroupsPath === undefined || record.systemd !== undefined ? record.spec : {
      ...record.spec,
      linux: { ...record.spec.linux, cgroupsPath: record.cgroupsPath },
    },
    noCgroup: record.cgroupsPath === undefined,
    detached: true,
    stdio: [none, none, none],
  });
  allowMount(record);
  const before = `${directory}/${BEFORE}`;
  const kept = move(`${directory}/exit`, before);
  let grouped = false;
  let launched: Launched | undefined;
  let devices: MovedDevices | undefined;
  let ends: ReadyEnds | undefined;
  try {
    if (notifySocket) {
      makeNotifyDirectory(directory);
      ends = listenForReady(directory, notifySocket);
    }
    // Of a start that was killed before it had recorded anything.
    const { systemd } = record;
    await removeGroups({ cgroupsPath: record.cgroupsPath, systemd });
    using holder = unit && await enterUnit(unit, cgroup, record.spec, directory, true);
    grouped = holder !== undefined;
    createCgroup(cgroup, { existing: grouped });
    grouped = true;
    if (resctrl !== undefined) (await loadResctrl()).makeResctrl(resctrl);
    const stdio = [none, none, none] as const;
    using listener = openListener(record.spec);
    using idmaps = makeIdmaps(record.spec, directory);
    launched = withGroup(
      cgroup,
      (group) =>
        launch(program, {
          name: "crate-monitor",
          stdio,
          extra: [
            ...group,
            ...listener.descriptors,
            ...idmaps.descriptors,
            ...network.claim?.descriptors ?? [],
          ],
          directory,
        }),
    );
    if (cgroup.join.length === 0) holder?.[Symbol.dispose]();
    if (!record.detached) replaceRecord(lock, root, { ...record, detached: true });
    equip(record.spec, launched.init);
    giveFiles(record.spec, network.claim?.left.files ?? []);
    await network.claim?.attach(launched.init);
    if (resctrl !== undefined) {
      (await loadResctrl()).joinResctrl(resctrl, launched.init.pid);
    }
    devices = await takeNetDevices(record.spec, launched.init.pid);
    recordProcess(lock, root, id, {
      init: launched.init,
      monitor: launched.monitor,
      ...!record.remove && { movable: true },
    });
    await launched.go(early({ ...record, directory }, launched.init));
    network.claim?.letGo();
    devices?.keep();
  } catch (error) {
    devices?.giveBack();
    if (ends !== undefined) closeEnds(ends);
    await launched?.abandon();
    if (grouped) {
      const made = { cgroupsPath: cgroup.path, systemd: record.systemd };
      await removeGroups(made).catch(() => {});
    }
    if (kept) move(before, `${directory}/exit`);
    throw error;
  }
  trySyscall("unlinkat", AT_FDCWD, before, 0);
  return ends && { init: launched.init, ends };
}

/** Its monitor may still be clearing away, which takes a moment. @throws {CrateError} `STATE` */
export function requireEnded(state: ContainerState): void {
  const { record: { id }, process } = state;
  if (state.status !== "stopped") {
    throw new CrateError(
      "STATE",
      `container "${id}" is ${shownStatus(state)}: only one that has ended can be started`,
    );
  }
  for (
    const end = performance.now() + 10_000;
    process?.monitor !== undefined && isAlive(process.monitor);
  ) {
    if (performance.now() > end) {
      throw new CrateError(
        "STATE",
        `the monitor of container "${id}" is still at work: pid ${process.monitor.pid}`,
      );
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
  }
}

/** @returns whether there was something. */
export function move(from: string, to: string): boolean {
  const result = trySyscall("renameat2", AT_FDCWD, from, AT_FDCWD, to, 0);
  if (result < 0 && result !== -ENOENT) throw new SyscallError("renameat2", -result, from);
  return result === 0;
}
