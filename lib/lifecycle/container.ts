import { close, SyscallError } from "../../ffi/mod.ts";
import {
  type CgroupPlan,
  createCgroup,
  detectLayout,
  planCgroup,
  removeCgroup,
} from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import { requireSupported, type Spec } from "../spec/mod.ts";
import { gatherFacts } from "./facts.ts";
import { filterOf } from "./options.ts";
import { isInitialUserNamespace, withoutForbidden } from "./rootless.ts";
import { launch, type Launched, openDirectory, type Stdio } from "./start.ts";
import { equip } from "./equip.ts";
import { reapEnded } from "./ended.ts";
import { idmappedMounts, makeIdmaps } from "./idmap.ts";
import type { RecordedNetwork } from "./network.ts";
import type { ProcessId } from "./process_id.ts";
import { openListener } from "./seccomp_listener.ts";
import { early } from "./stages.ts";
import { claim, type Lock, ownDirectory, recordProcess } from "./claim.ts";
import {
  mountPoint,
  prepareRoot,
  removeDirectory,
  retiredPath,
  STATE_FILES,
  statePaths,
  unique,
} from "./state.ts";
import { formatTime } from "./time.ts";
import {
  CGROUP,
  compileContainer,
  type CompileInput,
  hasListener,
  type MonitorOptions,
} from "./program/mod.ts";
import type { Program } from "../../ffi/mod.ts";

/** What a container has of networks before it is started: `claimNetworks` gives one. */
export interface ClaimedNetwork {
  /** Hold its ports of the host as long as they are open. */
  readonly descriptors: readonly number[];
  /** Taken by nftables when it has ended. */
  readonly atEnd?: Uint8Array<ArrayBuffer>;
  /** Files of the host that are its own, and their directory. */
  readonly left: { readonly files: readonly string[]; readonly directory: string };
  /** Gives its first process the interfaces. @throws {CrateError} */
  attach(init: ProcessId): Promise<void>;
  /** Its monitor has the descriptors. */
  letGo(): void;
  /** It could not be started; after it was, nothing happens. */
  release(): Promise<void>;
}

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
  readonly stdio: Stdio;
  readonly stopSignal?: string;
  readonly stopTimeout?: number;
  readonly network?: ClaimedNetwork;
  /** Files that mounts name and that are not made before it is started. */
  readonly madeLater?: readonly string[];
  /** What to claim when it is started again. */
  readonly networkRequest?: RecordedNetwork;
}

/** A container's program and the groups it needs: all that can be known before anything is made. */
export interface Prepared {
  readonly options: StartOptions;
  readonly program: Program;
  readonly cgroup: CgroupPlan;
}

/** A container whose user program runs. */
export interface Started {
  readonly id: string;
  readonly launched: Launched;
}

function monitorOptions(options: StartOptions, cgroup: CgroupPlan): MonitorOptions {
  const { root, id, detached, remove, network } = options;
  const paths = statePaths(root, id);
  const retired = retiredPath(root, id);
  return {
    detached,
    log: detached ? paths.log : undefined,
    exitFile: remove ? undefined : paths.exit,
    killGroup: options.spec.linux?.namespaces?.some(({ type }) => type === "pid") ||
        cgroup.directories.length === 0
      ? undefined
      : `${cgroup.directories[0]}/cgroup.procs`,
    retire: remove ? [paths.directory, retired] : undefined,
    removeFiles: [
      ...network?.left.files ?? [],
      ...remove ? STATE_FILES.map((name) => `${retired}/${name}`) : [],
    ],
    removeDirectories: [
      ...network === undefined ? [] : [network.left.directory],
      ...remove ? [retired] : [],
    ],
    cgroupDirectories: cgroup.directories,
    ...network !== undefined && {
      network: { held: network.descriptors.length, atEnd: network.atEnd },
    },
  };
}

/** A name is free again before its last container's groups are gone: they differ. */
function defaultGroup({ id, remove }: StartOptions): string {
  return `/crate/${remove ? `${id}.${unique()}` : id}`;
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
  { root, spec, madeLater }: Pick<StartOptions, "root" | "spec" | "madeLater">,
  group: string,
  optionsFor: (cgroup: CgroupPlan) => ProgramOptions,
): Promise<{ program: Program; cgroup: CgroupPlan }> {
  requireSupported(spec);
  const layout = detectLayout();
  const { linux } = spec;
  const resources = linux?.resources ?? {};
  const path = linux?.cgroupsPath || group;
  // Devices are the machine's root's to allow. The host's are under their files' permissions.
  const isInitial = isInitialUserNamespace();
  const planned = planCgroup(layout, path, resources, { devices: isInitial });
  const cgroup = isInitial ? planned : withoutForbidden(planned, resources);
  const seccomp = linux?.seccomp && await filterOf(linux.seccomp);
  const program = compileContainer({
    spec,
    facts: gatherFacts(
      spec,
      layout,
      cgroup.directories.length === 0 ? undefined : cgroup.path,
      madeLater,
    ),
    attachPoint: mountPoint(root),
    cgroup: {
      files: cgroup.join,
      descriptor: cgroup.joinDirectory === undefined ? undefined : CGROUP,
    },
    seccomp,
    ...optionsFor(cgroup),
  });
  return { program, cgroup };
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
    (cgroup) => {
      const next = cgroup.joinDirectory === undefined ? CGROUP : CGROUP + 1;
      const listens = hasListener(options.spec);
      return {
        parent: monitorOptions(options, cgroup),
        keyring: keyringOf(options.id),
        ...listens && { listener: next },
        idmaps: idmapDescriptors(options.spec, listens ? next + 1 : next),
      };
    },
  );
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

/**
 * Starts a prepared container: when this returns, the user's program has been executed.
 *
 * @param beforeStart called right before the user's program may start.
 * @throws {CrateError} when a step failed; then nothing is left of it.
 */
export async function startContainer(
  { options, program, cgroup }: Prepared,
  beforeStart?: (launched: Launched) => void,
): Promise<Started> {
  const { id, root, detached, remove, spec, bundle, stopSignal, stopTimeout, network } = options;
  reapEnded();
  prepareRoot(root);
  using lock = claim(root, {
    id,
    created: formatTime(Date.now()),
    bundle,
    spec,
    cgroupsPath: cgroup.directories.length === 0 ? undefined : cgroup.path,
    detached,
    remove,
    stopSignal,
    stopTimeout,
    network: options.networkRequest,
  });
  const { directory } = statePaths(root, id);
  let grouped = false;
  let launched: Launched | undefined;
  try {
    createCgroup(cgroup);
    grouped = true;
    using listener = openListener(spec);
    using idmaps = makeIdmaps(spec, directory);
    launched = withGroup(
      cgroup,
      (group) =>
        launch(program, {
          name: "crate-monitor",
          stdio: options.stdio,
          extra: [
            ...group,
            ...listener.descriptors,
            ...idmaps.descriptors,
            ...network?.descriptors ?? [],
          ],
          directory,
        }),
    );
    const { init } = launched;
    equip(spec, init);
    // The init is at its mounts meanwhile.
    await network?.attach(init);
    recordProcess(lock, root, id, { init, monitor: launched.monitor });
    beforeStart?.(launched);
    await launched.go(early({ id, spec, bundle, directory }, init));
    network?.letGo();
    return { id, launched };
  } catch (error) {
    await launched?.abandon();
    await giveUp(lock, grouped ? cgroup.directories : []);
    throw error;
  }
}

/** Removes what a failed start has made; what cannot be removed keeps its record, for `delete`. */
export async function giveUp(lock: Lock, groups: readonly string[]): Promise<void> {
  try {
    await removeCgroup(groups);
    // The monitor may have given the name away already, and another container may have it now.
    const directory = ownDirectory(lock);
    if (directory !== undefined) removeDirectory(directory);
  } catch (error) {
    if (!(error instanceof CrateError || error instanceof SyscallError)) throw error;
  }
}

/** With a v2 group's descriptor, when there is such a group. */
export function withGroup<T>(
  { joinDirectory }: { readonly joinDirectory?: string },
  use: (fds: readonly number[]) => T,
): T {
  if (joinDirectory === undefined) return use([]);
  const fd = openDirectory(joinDirectory);
  try {
    return use([fd]);
  } finally {
    close(fd);
  }
}
