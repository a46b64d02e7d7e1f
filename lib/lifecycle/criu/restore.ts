import { AT_FDCWD, close, exists, trySyscall } from "../../../ffi/mod.ts";
import { type CgroupPlan, removeCgroup } from "../../cgroup/mod.ts";
import { CrateError } from "../../errors.ts";
import { requireSupported, type Spec } from "../../spec/mod.ts";
import { claim, replaceRecord, tryLock } from "../claim.ts";
import { giveUp } from "../container.ts";
import { monitorOptions } from "../monitor_options.ts";
import { connectConsole, requireConsole, writePidFile } from "../engine_files.ts";
import { deleteContainer } from "../delete.ts";
import { BEFORE, move, requireEnded } from "../restart.ts";
import { allowMount } from "../rootfs.ts";
import type { MonitorOptions } from "../program/mod.ts";
import type { Stdio } from "../start.ts";
import { type ContainerRecord, prepareRoot, readState, statePaths } from "../state.ts";
import { formatTime } from "../time.ts";
import { findCriu } from "./find.ts";
import { waitInForeground } from "./foreground.ts";
import { makeGroups, planGroups } from "./groups.ts";
import { absolute, type Directory, openImages, readOwn } from "./images.ts";
import { requireDumpable, requireRoot } from "./options.ts";
import { requirePages } from "./pages.ts";
import { revive, type Revived, type ReviveOptions } from "./revive.ts";

/** How to restore a container. */
export interface RestoreOptions extends ReviveOptions {
  /** What it is made of; absent: the container of this id, which has stopped and is to go on. */
  readonly bundle?: { readonly directory: string; readonly spec: Spec };
  /** Return when it runs, and not when it has ended. */
  readonly detach?: boolean;
  readonly consoleSocket?: string;
  readonly pidFile?: string;
  /** Its standard descriptors, in the place of those that led out of it. */
  readonly stdio: Stdio;
}

/**
 * Restores a container from images.
 *
 * @returns what it has exited with, when it was waited for: then nothing is left of it; else 0.
 * @throws {CrateError} `NOT_FOUND` for images or criu; `EXISTS`; `FAILED` with what criu's log says; `START` for a hook.
 *   Nothing is left of it then, but for a container that was there before: that one has stopped.
 */
export async function restore(options: RestoreOptions): Promise<number> {
  const { program, lsmProfile } = options;
  if (lsmProfile !== undefined && !/^[^:]+:./.test(lsmProfile)) {
    throw new CrateError(
      "INVALID",
      `--lsm-profile must be TYPE:NAME, such as apparmor:crate-default, got "${lsmProfile}"`,
    );
  }
  requireRoot();
  findCriu(program.criu, program.env);
  using images = openImages("--image-path", absolute(options.imagePath));
  requireImages(images);
  requirePages(images);
  if (options.bundle === undefined) {
    await goOn(options, images);
    return 0;
  }
  return await anew(options, options.bundle, images);
}

/** criu's first look: without it there is no checkpoint. @throws {CrateError} `INVALID` */
function requireImages({ path }: Directory): void {
  if (exists(`${path}/inventory.img`)) return;
  throw new CrateError(
    "INVALID",
    `--image-path ${path} has no checkpoint: there is no inventory.img in it`,
  );
}

/** A new container. */
async function anew(
  options: RestoreOptions,
  { spec, directory: bundle }: NonNullable<RestoreOptions["bundle"]>,
  images: Directory,
): Promise<number> {
  const { root, id, consoleSocket } = options;
  const own = readOwn(images);
  const monitored = own?.monitored ?? false;
  requireSupported(spec);
  requireDumpable({ spec, id });
  if (monitored) requireOwn(options);
  else requireConsole(spec.process?.terminal ?? false, consoleSocket);
  const groups = planGroups(spec, id);
  prepareRoot(root);
  await replaceEnded(root, id);
  const record: Omit<ContainerRecord, "version"> = {
    id,
    created: formatTime(Date.now()),
    bundle,
    spec,
    ...groups.directories.length > 0 && { cgroupsPath: groups.path },
    detached: monitored,
    ...!monitored && { engine: true },
    remove: false,
  };
  let revived: Revived;
  {
    using lock = claim(root, record);
    let grouped = false;
    let started: Revived | undefined;
    let console: number | undefined;
    try {
      if (consoleSocket !== undefined) console = connectConsole(consoleSocket);
      makeGroups(groups);
      grouped = true;
      started = await revive(options, {
        spec,
        bundle,
        lock,
        groups,
        images,
        own,
        ...monitored ? { monitor: ownMonitor(options, record, groups) } : { stdio: options.stdio },
        ...console !== undefined && { console },
      });
      if (options.pidFile !== undefined) writePidFile(options.pidFile, started.init.pid);
      revived = started;
    } catch (error) {
      await started?.abandon();
      await giveUp(lock, grouped ? groups.directories : [], {});
      throw error;
    } finally {
      if (console !== undefined) close(console);
    }
  }
  if (options.detach || monitored) return 0;
  const code = await waitInForeground(revived.init);
  await deleteContainer(root, id, { force: true });
  return code;
}

/** What a monitor of crate's does for a container that goes on: it has no networks, nor what comes with a config. */
function ownMonitor(
  { root, stdio }: RestoreOptions,
  record: Omit<ContainerRecord, "version">,
  groups: CgroupPlan,
): MonitorOptions {
  const { id, spec, bundle, remove } = record;
  return monitorOptions(
    { id, root, spec, bundle, remove, detached: true, stdio },
    groups,
    undefined,
  );
}

/** An engine's container that has ended makes room, as it had at its checkpoint had runc made that. */
async function replaceEnded(root: string, id: string): Promise<void> {
  const before = readState(root, id);
  if (before?.record.engine && before.status === "stopped") await deleteContainer(root, id);
}

/** What holds for a container with a monitor of crate's. @throws {CrateError} `USAGE` */
function requireOwn({ id, detach, consoleSocket }: RestoreOptions): void {
  if (!detach) {
    throw new CrateError(
      "USAGE",
      `container "${id}" was started by crate run: give --detach, it goes on in the background`,
    );
  }
  if (consoleSocket !== undefined) {
    throw new CrateError("USAGE", "--console-socket is for a container of crate create");
  }
}

/** A container that is there, on what it has written, with its log and its monitor. */
async function goOn(options: RestoreOptions, images: Directory): Promise<void> {
  const { root, id } = options;
  requireOwn(options);
  const { directory } = statePaths(root, id);
  using lock = tryLock(directory);
  const state = readState(root, id);
  if (state === undefined) {
    throw new CrateError("NOT_FOUND", `container "${id}" does not exist: crate list shows them`);
  }
  if (lock === undefined) {
    throw new CrateError("STATE", `container "${id}" is being started or deleted by another crate`);
  }
  requireEnded(state);
  const { record } = state;
  const { spec, bundle, cgroupsPath } = record;
  requireDumpable(record);
  const own = readOwn(images);
  if (own?.monitored === false) {
    throw new CrateError(
      "INVALID",
      `--image-path ${images.path} is of a container of crate create`,
    );
  }
  const groups = planGroups(
    cgroupsPath === undefined ? spec : { ...spec, linux: { ...spec.linux, cgroupsPath } },
    id,
  );
  allowMount(record);
  const before = `${directory}/${BEFORE}`;
  const kept = move(`${directory}/exit`, before);
  let grouped = false;
  let revived: Revived | undefined;
  try {
    // Of a start that was killed before it had recorded anything.
    await removeCgroup(groups.directories);
    makeGroups(groups);
    grouped = true;
    if (!record.detached) replaceRecord(lock, root, { ...record, detached: true });
    const monitor = ownMonitor(options, record, groups);
    revived = await revive(options, { spec, bundle, lock, groups, images, own, monitor });
    if (options.pidFile !== undefined) writePidFile(options.pidFile, revived.init.pid);
  } catch (error) {
    await revived?.abandon();
    if (grouped) await removeCgroup(groups.directories).catch(() => {});
    if (kept) move(before, `${directory}/exit`);
    throw error;
  }
  trySyscall("unlinkat", AT_FDCWD, before, 0);
}
