import {
  close,
  EAGAIN,
  EINTR,
  MSG_DONTWAIT,
  P_PID,
  POLLIN,
  siginfo,
  SyscallError,
  trySyscall,
  WEXITED,
  WNOHANG,
} from "../../ffi/mod.ts";
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
import { untilReady } from "./ready.ts";
import { launch, type Launched, openDirectory, type Stdio } from "./start.ts";
import { claim, type Lock, ownDirectory, recordProcess } from "./claim.ts";
import {
  decodeExit,
  type Exit,
  mountPoint,
  prepareRoot,
  removeDirectory,
  retiredPath,
  STATE_FILES,
  statePaths,
  unique,
} from "./state.ts";
import { formatTime } from "./time.ts";
import { CGROUP, compileContainer, type MonitorOptions, SIGINFO_SIZE } from "./program/mod.ts";
import type { Program } from "../../ffi/mod.ts";

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
  const { root, id, detached, remove } = options;
  const paths = statePaths(root, id);
  const retired = retiredPath(root, id);
  return {
    detached,
    log: detached ? paths.log : undefined,
    exitFile: remove ? undefined : paths.exit,
    killGroup: options.spec.linux?.namespaces?.some(({ type }) => type === "pid")
      ? undefined
      : `${cgroup.directories[0]}/cgroup.procs`,
    retire: remove ? [paths.directory, retired] : undefined,
    removeFiles: remove ? STATE_FILES.map((name) => `${retired}/${name}`) : [],
    removeDirectories: remove ? [retired] : [],
    cgroupDirectories: cgroup.directories,
  };
}

/** A name is free again before its last container's groups are gone: they differ. */
function defaultGroup({ id, remove }: StartOptions): string {
  return `/crate/${remove ? `${id}.${unique()}` : id}`;
}

/**
 * Compiles a container's config for this host. Makes nothing.
 *
 * @throws {CrateError} for a config that this version or this host cannot carry out.
 */
export async function prepareContainer(options: StartOptions): Promise<Prepared> {
  const { spec, root } = options;
  requireSupported(spec);
  const layout = detectLayout();
  const { linux } = spec;
  const path = linux?.cgroupsPath ?? defaultGroup(options);
  const cgroup = planCgroup(layout, path, linux?.resources ?? {});
  const seccomp = linux?.seccomp && await filterOf(linux.seccomp);
  const program = compileContainer({
    spec,
    facts: gatherFacts(spec, layout),
    attachPoint: mountPoint(root),
    cgroup: {
      files: cgroup.join,
      descriptor: cgroup.joinDirectory === undefined ? undefined : CGROUP,
    },
    seccomp,
    monitor: monitorOptions(options, cgroup),
  });
  return { options, program, cgroup };
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
  const { id, root, detached, remove, spec, bundle, stopSignal, stopTimeout } = options;
  reapEnded();
  prepareRoot(root);
  using lock = claim(root, {
    id,
    created: formatTime(Date.now()),
    bundle,
    spec,
    cgroupsPath: cgroup.path,
    detached,
    remove,
    stopSignal,
    stopTimeout,
  });
  const { directory } = statePaths(root, id);
  let grouped = false;
  let launched: Launched | undefined;
  try {
    createCgroup(cgroup);
    grouped = true;
    launched = withGroup(
      cgroup,
      (extra) => launch(program, { name: "crate-monitor", stdio: options.stdio, extra, directory }),
    );
    recordProcess(lock, root, id, { init: launched.init, monitor: launched.monitor });
    beforeStart?.(launched);
    launched.go();
    return { id, launched };
  } catch (error) {
    launched?.abandon();
    await giveUp(lock, grouped ? cgroup.directories : []);
    throw error;
  }
}

/** Removes what a failed start has made; what cannot be removed keeps its record, for `delete`. */
async function giveUp(lock: Lock, groups: readonly string[]): Promise<void> {
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

// Monitors of this process's containers that have told the end and may still be clearing away.
const ending = new Set<number>();

function reapEnded(): void {
  const info = new Uint8Array(128);
  for (const pid of ending) {
    info.fill(0);
    const result = trySyscall("waitid", P_PID, pid, info, WEXITED | WNOHANG, null);
    // Zero and no pid: it is still at it. waitid(2)
    if (result < 0 || siginfo.get(info, "si_pid") === pid) ending.delete(pid);
  }
}

/** Waits for a started container's end. */
export async function waitForExit({ control, monitor }: Launched): Promise<Exit> {
  const info = new Uint8Array(SIGINFO_SIZE);
  for (;;) {
    const got = trySyscall("recvfrom", control, info, SIGINFO_SIZE, MSG_DONTWAIT, null, 0);
    if (got === -EAGAIN) await untilReady(control, POLLIN);
    else if (got !== -EINTR) {
      close(control);
      reapEnded();
      ending.add(monitor.pid);
      return got < SIGINFO_SIZE ? { code: 137, signal: 9 } : decodeExit(info);
    }
  }
}
