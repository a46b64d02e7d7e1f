import { isInitialUserNamespace, SyscallError } from "../../ffi/mod.ts";
import {
  type CgroupPlan,
  createCgroup,
  detectLayout,
  loadResctrl,
  loadSystemd,
  planCgroup,
  removeCgroup,
  type ResctrlGroup,
  type ResctrlPlan,
  type Unit,
  type UnitPlan,
} from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import { type LinuxResources, requireSupported, type Spec } from "../spec/mod.ts";
import { gatherFacts } from "./facts.ts";
import { filterOf } from "./filter.ts";
import {
  closeEnds,
  listenForReady,
  makeNotifyDirectory,
  notifyDirectory,
  type ReadyEnds,
  withNotify,
} from "./notify.ts";
import { monitorOptions } from "./monitor_options.ts";
import { enterUnit } from "./unit.ts";
import { withoutForbidden, withoutGroups } from "./rootless.ts";
import { launch, type Launched, type Stdio } from "./start.ts";
import { equip, giveFiles } from "./equip.ts";
import { reapEnded } from "./ended.ts";
import { idmappedMounts, makeIdmaps } from "./idmap.ts";
import type { LeftInStore } from "../image/mod.ts";
import type { ClaimedNetwork } from "./claimed_network.ts";
import type { RecordedNetwork } from "./network.ts";
import { handedOn } from "./handed_on.ts";
import type { MovedDevices } from "./net_devices.ts";
import { openPidfdSocket } from "./pidfd_socket.ts";
import { openListener } from "./seccomp_listener.ts";
import { early } from "./stages.ts";
import { claim, type Lock, ownDirectory, recordProcess } from "./claim.ts";
import {
  type ContainerRecord,
  mountPoint,
  prepareRoot,
  removeDirectory,
  statePaths,
  unique,
} from "./state.ts";
import { formatTime } from "./time.ts";
import {
  CGROUP,
  compileContainer,
  type CompileInput,
  hasListener,
  loadMappedOverlay,
  mappedOverlay,
} from "./program/mod.ts";
import type { Program } from "../../ffi/mod.ts";
import { withGroup } from "./group.ts";
import type { SeccompFilter } from "../security/mod.ts";
import { storeFilter } from "./stored_filter.ts";

/** What a container is started from. */
export interface StartOptions {
  readonly id: string;
  /** The state directory of all containers. */
  readonly root: string;
  readonly spec: Spec;
  /** The bundle's directory, or where the command was given. */
  readonly bundle: string;
  readonly detached: boolean;
  /** Nothing is kept when it ends. */
  readonly remove: boolean;
  /** Eight digits that are its own, for names beside the id; absent: they are made up. */
  readonly token?: string;
  readonly stdio: Stdio;
  readonly stopSignal?: string;
  readonly stopTimeout?: number;
  readonly network?: ClaimedNetwork;
  /** What else its monitor removes when it is removed, as far as that is empty. */
  readonly left?: Pick<LeftInStore, "files" | "directories">;
  /** Files that mounts name and that are not made before it is started. */
  readonly madeLater?: readonly string[];
  /** What to claim when it is started again. */
  readonly networkRequest?: RecordedNetwork;
  /** How many of the caller's descriptors from 3 on the container gets. */
  readonly preserveFds?: number;
  readonly noPivot?: boolean;
  readonly noNewKeyring?: boolean;
  /** A path on which somebody waits for the init's pidfd. */
  readonly pidfdSocket?: string;
  readonly rootless?: boolean;
  readonly noCgroup?: boolean;
  /** The service manager's socket, on which it hears that the container is ready: `NOTIFY_SOCKET`. */
  readonly notifySocket?: string;
  /** systemd makes its groups; `linux.cgroupsPath` is `SLICE:PREFIX:NAME`. */
  readonly systemd?: boolean;
}

/** A container's program and the groups it needs: all that can be known before anything is made. */
export interface Prepared {
  readonly options: StartOptions;
  readonly program: Program;
  /** What that was compiled from. */
  readonly input: CompileInput;
  readonly cgroup: CgroupPlan;
  readonly resctrl?: ResctrlPlan;
  /** What systemd is to make. */
  readonly unit?: UnitPlan;
  /** The filter that is in the program. */
  readonly seccomp?: SeccompFilter;
}

/** A container whose user program runs. */
export interface Started {
  readonly id: string;
  readonly launched: Launched;
  /** Between whom its readiness is to go. */
  readonly ready?: ReadyEnds;
}

/** A name is free again before its last container's groups are gone: they differ. */
function defaultGroup({ id, remove, token = unique() }: StartOptions): string {
  return `/crate/${remove ? `${id}.${token}` : id}`;
}

/** How a container is grouped where that is not simply done. */
export interface Grouping {
  /** Do without groups that may not be made, if nothing is to be limited; absent: in a user namespace. */
  readonly rootless?: boolean;
  /** The container stays in crate's own groups. */
  readonly noCgroup?: boolean;
}

function groupedAs(
  planned: CgroupPlan,
  resources: LinuxResources,
  { rootless = !isInitialUserNamespace(), noCgroup = false }: Grouping,
): CgroupPlan {
  if (noCgroup) return withoutGroups(planned, resources);
  return rootless ? withoutForbidden(planned, resources) : planned;
}

/** What of a program's input does not come from the config. */
export type ProgramOptions = Pick<
  CompileInput,
  "parent" | "noPivot" | "preserved" | "keyring" | "idmaps" | "listener"
>;

/**
 * Compiles a config for this host. Makes nothing.
 *
 * @param group the control group's path, when the config has none.
 * @throws {CrateError} for a config that this version or this host cannot carry out.
 */
export async function compileSpec(
  { id, root, spec: given, madeLater, systemd, notifySocket, ...grouping }:
    & Pick<StartOptions, "id" | "root" | "spec" | "madeLater" | "systemd" | "notifySocket">
    & Grouping,
  group: string,
  optionsFor: (cgroup: CgroupPlan, resctrl: ResctrlPlan | undefined) => ProgramOptions,
): Promise<Omit<Prepared, "options">> {
  requireSupported(given);
  const { directory } = statePaths(root, id);
  const notifies = Boolean(notifySocket);
  const spec = notifies ? withNotify(given, directory) : given;
  const layout = detectLayout();
  const { linux } = spec;
  const resources = linux?.resources ?? {};
  // Devices are the machine's root's to allow. The host's are under their files' permissions.
  const isInitial = isInitialUserNamespace();
  const unit = systemd
    ? (await loadSystemd()).planUnit(spec, group.slice(group.lastIndexOf("/") + 1), !isInitial)
    : undefined;
  const path = unit?.path ?? (linux?.cgroupsPath || group);
  const planned = planCgroup(layout, path, resources, { devices: isInitial });
  const cgroup = unit === undefined ? groupedAs(planned, resources, grouping) : planned;
  const resctrl = linux?.intelRdt && (await loadResctrl()).planResctrl(linux.intelRdt, id);
  const seccomp = linux?.seccomp && await filterOf(linux.seccomp);
  const input: CompileInput = {
    spec,
    facts: gatherFacts(
      spec,
      layout,
      cgroup.directories.length === 0 ? undefined : cgroup.path,
      { files: madeLater, ...notifies && { directory: notifyDirectory(directory) } },
    ),
    attachPoint: mountPoint(root),
    cgroup: {
      files: cgroup.join,
      descriptor: cgroup.joinDirectory === undefined ? undefined : CGROUP,
    },
    seccomp,
    ...mappedOverlay(spec) && { mountMapped: (await loadMappedOverlay()).mountMappedOverlay },
    ...optionsFor(cgroup, resctrl),
  };
  const program = compileContainer(input);
  return { program, input, cgroup, unit, ...resctrl && { resctrl }, ...seccomp && { seccomp } };
}

/**
 * Compiles a container's config for this host. Makes nothing.
 *
 * @throws {CrateError} for a config that this version or this host cannot carry out.
 */
export async function prepareContainer(options: StartOptions): Promise<Prepared> {
  const compiled = await compileSpec(
    options,
    defaultGroup(options),
    (cgroup, resctrl) => {
      let next = cgroup.joinDirectory === undefined ? CGROUP : CGROUP + 1;
      const listener = hasListener(options.spec) ? next++ : undefined;
      const { preserveFds: count = 0, noNewKeyring, noPivot } = options;
      return {
        parent: monitorOptions(options, cgroup, resctrl),
        keyring: noNewKeyring ? undefined : keyringOf(options.id),
        noPivot,
        listener,
        ...count > 0 && { preserved: { first: next, count } },
        idmaps: idmapDescriptors(options.spec, next + count),
      };
    },
  );
  if (compiled.unit?.unit.name.endsWith(".slice")) {
    throw new CrateError(
      "INVALID",
      `linux.cgroupsPath: ${compiled.unit.unit.name} would outlive the container: ` +
        "a slice is for crate create, whose container crate delete removes",
    );
  }
  return { options, ...compiled };
}

/** Which of a program's descriptors are the user namespaces of the idmapped mounts. */
export function idmapDescriptors(spec: Spec, first: number): CompileInput["idmaps"] {
  const mounts = idmappedMounts(spec);
  return mounts.length === 0 ? undefined : new Map(mounts.map((mount, i) => [mount, first + i]));
}

/** runc's name for it. */
export function keyringOf(id: string): string {
  return `_ses.${id}`;
}

/** What is recorded of a container that is started now. */
export function recordOf(
  { options, cgroup, resctrl, unit }: Prepared,
): Omit<ContainerRecord, "version"> {
  const { id, bundle, spec, detached, remove, stopSignal, stopTimeout } = options;
  return {
    id,
    created: formatTime(Date.now()),
    bundle,
    spec,
    cgroupsPath: cgroup.directories.length === 0 ? undefined : cgroup.path,
    resctrl: groupOf(resctrl),
    systemd: unit?.unit,
    detached,
    remove,
    stopSignal,
    stopTimeout,
    network: options.networkRequest,
  };
}

/**
 * Starts a prepared container: when this returns, the user's program has been executed.
 *
 * @param beforeStart called right before the user's program may start.
 * @throws {CrateError} when a step failed; then nothing is left of it.
 */
export async function startContainer(
  prepared: Prepared,
  beforeStart?: (launched: Launched, record: Omit<ContainerRecord, "version">) => void,
): Promise<Started> {
  const { options, program, cgroup, resctrl, unit, seccomp } = prepared;
  const { id, root, remove, spec, bundle, network } = options;
  reapEnded();
  prepareRoot(root);
  const record = recordOf(prepared);
  using lock = claim(root, record);
  const { directory } = statePaths(root, id);
  let grouped = false;
  let launched: Launched | undefined;
  let devices: MovedDevices | undefined;
  let ready: ReadyEnds | undefined;
  try {
    if (seccomp !== undefined) storeFilter(directory, seccomp);
    if (options.notifySocket) {
      makeNotifyDirectory(directory);
      ready = listenForReady(directory, options.notifySocket);
    }
    using holder = unit && await enterUnit(unit, cgroup, spec, directory, true);
    grouped = holder !== undefined;
    createCgroup(cgroup, { existing: grouped });
    grouped = true;
    if (resctrl !== undefined) (await loadResctrl()).makeResctrl(resctrl);
    using pidfd = openPidfdSocket(options.pidfdSocket);
    using listener = openListener(spec);
    using idmaps = makeIdmaps(spec, directory);
    const preserved = handedOn(options.preserveFds ?? 0);
    launched = withGroup(
      cgroup,
      (group) =>
        launch(program, {
          name: "crate-monitor",
          stdio: options.stdio,
          extra: [
            ...group,
            ...listener.descriptors,
            ...preserved,
            ...idmaps.descriptors,
            ...network?.descriptors ?? [],
          ],
          directory,
        }),
    );
    const { init } = launched;
    if (cgroup.join.length === 0) holder?.[Symbol.dispose]();
    equip(spec, init);
    giveFiles(spec, network?.left.files ?? []);
    // The init is at its mounts meanwhile.
    await network?.attach(init);
    if (resctrl !== undefined) (await loadResctrl()).joinResctrl(resctrl, init.pid);
    devices = await takeNetDevices(spec, init.pid);
    recordProcess(lock, root, id, {
      init,
      monitor: launched.monitor,
      ...!remove && { movable: true },
    });
    pidfd.send(init);
    beforeStart?.(launched, record);
    await launched.go(early({ id, spec, bundle, directory }, init));
    network?.letGo();
    devices?.keep();
    return { id, launched, ready };
  } catch (error) {
    devices?.giveBack();
    if (ready !== undefined) closeEnds(ready);
    await launched?.abandon();
    await giveUp(lock, grouped ? cgroup.directories : [], {
      resctrl: groupOf(resctrl),
      unit: grouped ? unit?.unit : undefined,
    });
    throw error;
  }
}

/** The host's network devices that go into a container; seldom any, and loaded only then. */
export async function takeNetDevices(spec: Spec, pid: number): Promise<MovedDevices | undefined> {
  if (Object.keys(spec.linux?.netDevices ?? {}).length === 0) return undefined;
  return (await import("./net_devices.ts")).moveNetDevices(spec, pid);
}

/** What a container's record has of its resctrl group. */
export function groupOf(plan: ResctrlPlan | undefined): ResctrlGroup | undefined {
  if (plan === undefined) return undefined;
  const { schemata: _, ...group } = plan;
  return group;
}

/** Removes what a failed start has made; what cannot be removed keeps its record, for `delete`. */
export async function giveUp(
  lock: Lock,
  groups: readonly string[],
  { resctrl, unit }: { readonly resctrl?: ResctrlGroup; readonly unit?: Unit },
): Promise<void> {
  try {
    await removeCgroup(groups);
    if (resctrl !== undefined) (await loadResctrl()).removeResctrl(resctrl);
    if (unit !== undefined) (await loadSystemd()).stopUnit(unit);
    // The monitor may have given the name away already, and another container may have it now.
    const directory = ownDirectory(lock);
    if (directory !== undefined) removeDirectory(directory);
  } catch (error) {
    if (!(error instanceof CrateError || error instanceof SyscallError)) throw error;
  }
}
