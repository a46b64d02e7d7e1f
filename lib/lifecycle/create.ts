import {
  arch,
  close,
  encodeElf,
  isInitialUserNamespace,
  type Program,
  stepAddress,
} from "../../ffi/mod.ts";
import { type CgroupPlan, cgroupProcesses, createCgroup, loadResctrl } from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import type { Spec } from "../spec/mod.ts";
import { claim, type Lock, recordProcess } from "./claim.ts";
import {
  compileSpec,
  giveUp,
  type Grouping,
  groupOf,
  idmapDescriptors,
  keyringOf,
  type Prepared,
  takeNetDevices,
} from "./container.ts";
import { equip } from "./equip.ts";
import { early } from "./stages.ts";
import { handedOn } from "./handed_on.ts";
import { makeIdmaps } from "./idmap.ts";
import type { Made } from "./create_input.ts";
import {
  CGROUP,
  type EngineOptions,
  EXECUTE,
  hasListener,
  type Preserved,
  STAGE_CREATED,
} from "./program/mod.ts";
import type { MovedDevices } from "./net_devices.ts";
import { makeNotifyDirectory } from "./notify.ts";
import { openPidfdSocket } from "./pidfd_socket.ts";
import { openListener } from "./seccomp_listener.ts";
import { listenAt } from "./sockets.ts";
import { launch, type Launched, type Stdio } from "./start.ts";
import { type ContainerRecord, prepareRoot, statePaths } from "./state.ts";
import { formatTime } from "./time.ts";
import { enterUnit } from "./unit.ts";
import { connectConsole, requireConsole, writePidFile } from "./engine_files.ts";
import { withGroup } from "./group.ts";
import { storeFilter } from "./stored_filter.ts";
import { prepareVerbs } from "./verbs.ts";

/** What an engine makes a container from. */
export interface CreateOptions extends Grouping {
  readonly id: string;
  /** The state directory of all containers. */
  readonly root: string;
  readonly spec: Spec;
  /** The bundle's directory. */
  readonly bundle: string;
  readonly stdio: Stdio;
  /** A path on which somebody waits for the console's descriptor. */
  readonly consoleSocket?: string;
  /** Written before the container is said to be created. */
  readonly pidFile?: string;
  /** A path on which somebody waits for the init's pidfd. */
  readonly pidfdSocket?: string;
  /** How many of the caller's descriptors from 3 on the container gets. */
  readonly preserveFds?: number;
  readonly noPivot?: boolean;
  readonly noNewKeyring?: boolean;
  /** The service manager's socket: the container gets one on which it can tell that it is ready. */
  readonly notifySocket?: string;
  /** systemd makes its groups; `linux.cgroupsPath` is `SLICE:PREFIX:NAME`. */
  readonly systemd?: boolean;
}

/**
 * Creates a container that waits for its start, with whoever called crate as its parent: nothing of crate's
 * stays beside it. runtime.md, "Create"
 *
 * @returns what the next one of its kind may be made ready from; undefined when this one is of no kind.
 * @throws {CrateError} when it cannot be made; then nothing is left of it.
 */
export async function createContainer(options: CreateOptions): Promise<Made | undefined> {
  const { id, root, spec, bundle, preserveFds = 0 } = options;
  requireConsole(spec.process?.terminal ?? false, options.consoleSocket);
  const hasConsole = options.consoleSocket !== undefined;
  // From 5 on: the v2 group where there is one, the socket of the start, the console's, what is handed on.
  let parent: EngineOptions | undefined;
  let preserved: Preserved | undefined;
  const prepared = await compileSpec(options, `/${id}`, (cgroup) => {
    const start = cgroup.joinDirectory === undefined ? CGROUP : CGROUP + 1;
    parent = { start, ...hasConsole && { console: start + 1 } };
    let next = start + (hasConsole ? 2 : 1);
    const listener = hasListener(spec) ? next++ : undefined;
    preserved = { first: next, count: preserveFds };
    return {
      parent,
      listener,
      preserved,
      idmaps: idmapDescriptors(spec, preserved.first + preserveFds),
      noPivot: options.noPivot,
      keyring: options.noNewKeyring ? undefined : keyringOf(id),
    };
  });
  const { cgroup, resctrl, unit } = prepared;
  prepareRoot(root);
  const record: Omit<ContainerRecord, "version"> = {
    id,
    created: formatTime(Date.now()),
    bundle,
    spec,
    cgroupsPath: cgroup.directories.length === 0 ? undefined : cgroup.path,
    resctrl: groupOf(resctrl),
    systemd: unit?.unit,
    detached: false,
    engine: true,
    remove: false,
  };
  using lock = claim(root, record);
  return await make(options, prepared, record, lock);
}

async function make(
  options: CreateOptions,
  { program, cgroup, resctrl, unit, seccomp }: Omit<Prepared, "options">,
  record: Omit<ContainerRecord, "version">,
  lock: Lock,
): Promise<Made | undefined> {
  const { id, root, spec, bundle, pidFile, consoleSocket, preserveFds = 0 } = options;
  const { directory, start } = statePaths(root, id);
  const opened: number[] = [];
  const file = encodeElf(program, arch).bytes;
  let isUsual = !options.notifySocket && options.pidfdSocket === undefined &&
    isInitialUserNamespace();
  const keep = (fd: number) => {
    opened.push(fd);
    return fd;
  };
  let grouped = false;
  let launched: Launched | undefined;
  let devices: MovedDevices | undefined;
  try {
    if (seccomp !== undefined) storeFilter(directory, seccomp);
    if (options.notifySocket) makeNotifyDirectory(directory);
    using holder = unit && await enterUnit(unit, cgroup, spec, directory, false);
    grouped = holder !== undefined;
    if (grouped) createCgroup(cgroup, { existing: true });
    else if (!enterGroups(cgroup)) isUsual = false;
    grouped = true;
    if (resctrl !== undefined) (await loadResctrl()).makeResctrl(resctrl);
    const sockets = [keep(listenAt(start))];
    if (consoleSocket !== undefined) sockets.push(keep(connectConsole(consoleSocket)));
    using pidfd = openPidfdSocket(options.pidfdSocket);
    using listener = openListener(spec);
    using idmaps = makeIdmaps(spec, directory);
    const preserved = handedOn(preserveFds);
    launched = withGroup(cgroup, (group) =>
      launch(program, {
        name: "crate-create",
        stdio: options.stdio,
        extra: [...group, ...sockets, ...listener.descriptors, ...preserved, ...idmaps.descriptors],
        directory,
        released: true,
        file,
      }));
    const { init } = launched;
    if (cgroup.join.length === 0) holder?.[Symbol.dispose]();
    equip(spec, init);
    if (resctrl !== undefined) (await loadResctrl()).joinResctrl(resctrl, init.pid);
    devices = await takeNetDevices(spec, init.pid);
    const who = { init, startSteps: startSteps(program) };
    // The init is at its mounts meanwhile.
    const offerVerbs = prepareVerbs(root, record, init);
    const atStage = early({ id, spec, bundle, directory }, init);
    await launched.go(async (stage, next) => {
      if (stage !== STAGE_CREATED) {
        isUsual = false;
        return await atStage(stage, next);
      }
      recordProcess(lock, root, id, who);
      offerVerbs();
      if (pidFile !== undefined) writePidFile(pidFile, init.pid);
      pidfd.send(init);
    });
    if (launched.state() !== STAGE_CREATED) {
      throw new CrateError("START", "the container's init was killed while it was being set up");
    }
    close(launched.control);
    devices?.keep();
    if (!isUsual) return undefined;
    const process = JSON.stringify(who);
    return { root, record, init, cgroup, seccomp, program: file, process, pidFile };
  } catch (error) {
    devices?.giveBack();
    await launched?.abandon();
    await giveUp(lock, grouped ? cgroup.directories : [], {
      resctrl: groupOf(resctrl),
      unit: grouped ? unit?.unit : undefined,
    });
    throw error;
  } finally {
    for (const fd of opened) close(fd);
  }
}

/**
 * An engine may have made the groups before, for a pod: they are used when nobody is in them.
 *
 * @returns whether they were not there.
 */
function enterGroups(cgroup: CgroupPlan): boolean {
  try {
    createCgroup(cgroup);
    return true;
  } catch (error) {
    const isEmpty = error instanceof CrateError && error.code === "EXISTS" &&
      cgroupProcesses(cgroup).length === 0;
    if (!isEmpty) throw error;
    createCgroup(cgroup, { existing: true });
    return false;
  }
}

/** The labels of the steps from the wait for the start on, by their addresses: `start` reads them. */
function startSteps(program: Program): Record<string, string> {
  const { steps } = program;
  const from = steps.findIndex(({ operation }) => operation === "accept4");
  const to = steps.findIndex(({ label }, i) => i > from && label.startsWith(EXECUTE));
  const labels = new Set(steps.slice(from, to + 1).map(({ label }) => label));
  const found: Record<string, string> = {};
  steps.forEach(({ label }, i) => {
    // Those that stand aside may fail for one of them.
    if (i >= from && labels.has(label)) found[stepAddress(i, arch)] = label;
  });
  return found;
}
