import {
  CLONE_NEWCGROUP,
  close,
  exists,
  isInitialUserNamespace,
  MFD_CLOEXEC,
  O_RDONLY,
  open,
  syscall,
  SyscallError,
  trySyscall,
  writeAll,
} from "../../ffi/mod.ts";
import {
  type CgroupJoin,
  detectLayout,
  joinFiles,
  loadResctrl,
  locateCgroup,
} from "../cgroup/mod.ts";
import { lastCapability, type SeccompFilter } from "../security/mod.ts";
import type { Hook, LinuxSeccomp, Process, Spec } from "../spec/mod.ts";
import { CrateError } from "../errors.ts";
import { after } from "../timers.ts";
import { withGroup } from "./group.ts";
import { connectConsole, requireConsole } from "./engine_files.ts";
import { handedOn } from "./handed_on.ts";
import { waitForExit } from "./ended.ts";
import { equipProcess } from "./equip.ts";
import { notRunning, openInit } from "./kill.ts";
import { isPaused } from "./paused.ts";
import { openPidfdSocket } from "./pidfd_socket.ts";
import { isAlive, openProcess } from "./process_id.ts";
import {
  compileExec,
  EXEC_PIDFD,
  hasListener,
  hasUserNamespace,
  namespaceFlag,
  STAGE_LISTENER,
} from "./program/mod.ts";
import { listenerState, openListener } from "./seccomp_listener.ts";
import { requireProcessModules } from "./security_modules.ts";
import { launch, type Launched, nullStdio, type Stdio } from "./start.ts";
import { type ContainerState, statePaths } from "./state.ts";
import { storedFilter } from "./stored_filter.ts";

/** Another process for a running container. */
export interface ExecOptions {
  readonly root: string;
  readonly id: string;
  /** Made from the container's own process, given its config. */
  readonly process: (spec: Spec, root: ContainerRoot) => Process | Promise<Process>;
  readonly detached: boolean;
  readonly stdio: Stdio;
  /** Called right before the program may start. */
  readonly beforeStart?: (launched: Launched) => void;
  /** Called when the program is about to be executed. */
  readonly whileStarting?: () => void;
  /** Without the container's seccomp filter. */
  readonly unfiltered?: boolean;
  /** Its parent is whoever called crate, which stays no longer than until the program runs. */
  readonly engine?: boolean;
  /** A path on which somebody waits for the console's descriptor; for an engine's process only. */
  readonly consoleSocket?: string;
  /** A path on which somebody waits for the process's pidfd. */
  readonly pidfdSocket?: string;
  /** How many of the caller's descriptors from 3 on it gets. */
  readonly preserveFds?: number;
  /** Into a paused container, too: it runs when that goes on. */
  readonly ignorePaused?: boolean;
  /** The group below the container's that it joins, `/sub`; absent: the init's. */
  readonly cgroup?: string;
}

/** The container's root as the host reaches it. */
export interface ContainerRoot {
  /** `/proc/<pid>/root`, the init's. */
  readonly path: string;
}

/**
 * Starts a process in a running container: when this returns, the program has been executed.
 *
 * @throws {CrateError} `NOT_FOUND`; `STATE` when the container is not running; `START` and the rest
 *   as {@linkcode startContainer}.
 */
export async function execInContainer(options: ExecOptions): Promise<Launched> {
  const { root, id } = options;
  const { pidfd, state } = openInit(root, id);
  try {
    if (!options.ignorePaused && isPaused(state)) {
      throw new CrateError(
        "STATE",
        `container "${id}" is paused: crate resume ${id} lets it go on`,
      );
    }
    return await execInState(state, pidfd, options);
  } catch (error) {
    // What was looked for is gone with it.
    if (!(error instanceof SyscallError) || isAlive(state.process!.init)) throw error;
    throw notRunning(id, { ...state, status: "stopped" });
  } finally {
    close(pidfd);
  }
}

/** The group that a process joins. @throws {CrateError} `INVALID` when it is not there. */
export function groupOf(
  { record, process }: ContainerState,
  below: string | undefined,
): Omit<CgroupJoin, "join"> & { readonly join: readonly string[] } {
  const { cgroupsPath } = record;
  if (cgroupsPath === undefined) return { join: [] };
  if (below === undefined || below === "" || below === "/") {
    return joinFiles(locateCgroup(detectLayout(), cgroupsPath), process!.init.pid);
  }
  const location = locateCgroup(detectLayout(), `${cgroupsPath}/${below}`);
  const missing = location.directories.find((directory) => !exists(directory));
  if (missing === undefined) return joinFiles(location);
  throw new CrateError("INVALID", `--cgroup ${below}: there is no group ${missing}`);
}

async function execInState(
  state: ContainerState,
  pidfd: number,
  options: Omit<ExecOptions, "id">,
): Promise<Launched> {
  const { root, detached, stdio, engine = false, consoleSocket, preserveFds = 0 } = options;
  const { spec } = state.record;
  const { pid } = state.process!.init;
  const process = await options.process(spec, { path: `/proc/${pid}/root` });
  requireProcessModules(process);
  if (engine) requireConsole(process.terminal ?? false, consoleSocket);
  const group = groupOf(state, options.cgroup);
  const profile = options.unfiltered ? undefined : spec.linux?.seccomp;
  // From 5 on: the init's pidfd, the v2 group where there is one, the console's socket, what is handed on.
  let next = EXEC_PIDFD + 1;
  const descriptor = group.joinDirectory === undefined ? undefined : next++;
  using groups = openGroups(spec, pid);
  const cgroupNamespace = groups.descriptors.length === 0 ? undefined : next++;
  const console = consoleSocket === undefined ? undefined : next++;
  const listens = profile !== undefined && hasListener(spec);
  const listener = listens ? next++ : undefined;
  const program = compileExec({
    process,
    spec,
    namespaces: namespacesOf(spec),
    cgroup: { files: group.join, descriptor },
    cgroupNamespace,
    seccomp: profile && await filterFor(state.record, root, profile),
    lastCapability: lastCapability(),
    detached,
    isInUserNamespace: !isInitialUserNamespace(),
    ...engine && { engine: { ...console !== undefined && { console } } },
    listener,
    preserved: { first: next, count: preserveFds },
  });
  const preserved = handedOn(preserveFds);
  using pidfdSocket = openPidfdSocket(options.pidfdSocket);
  using told = openListener(listens ? spec : {});
  const socket = consoleSocket === undefined ? undefined : connectConsole(consoleSocket);
  let launched: Launched;
  try {
    launched = withGroup(group, (fds) =>
      launch(program, {
        name: "crate-exec",
        stdio,
        extra: [
          pidfd,
          ...fds,
          ...groups.descriptors,
          ...socket === undefined ? [] : [socket],
          ...told.descriptors,
          ...preserved,
        ],
        directory: root,
        released: engine,
      }));
  } finally {
    if (socket !== undefined) close(socket);
  }
  try {
    if (hasUserNamespace(spec)) equipProcess(process, launched.init.pid);
    const { resctrl } = state.record;
    if (resctrl !== undefined) (await loadResctrl()).joinResctrl(resctrl, launched.init.pid);
    pidfdSocket.send(launched.init);
    options.beforeStart?.(launched);
    await launched.go((stage) => {
      if (stage !== STAGE_LISTENER) return Promise.resolve(undefined);
      const { init } = launched;
      return Promise.resolve(listenerState(state.record, init.pid, { pid, status: "running" }));
    }, options.whileStarting);
  } catch (error) {
    await launched.abandon();
    throw error;
  }
  return launched;
}

/** The cgroup namespace of a container in a user namespace, for the program that joins both. */
function openGroups(spec: Spec, pid: number): { descriptors: readonly number[] } & Disposable {
  if (!hasUserNamespace(spec) || (namespacesOf(spec) & CLONE_NEWCGROUP) === 0) {
    return { descriptors: [], [Symbol.dispose]() {} };
  }
  const fd = open(`/proc/${pid}/ns/cgroup`, O_RDONLY);
  return { descriptors: [fd], [Symbol.dispose]: () => close(fd) };
}

/** The filter of a container's profile, from its start if that has left it. */
export async function filterFor(
  { id }: ContainerState["record"],
  root: string,
  profile: LinuxSeccomp,
): Promise<SeccompFilter> {
  const stored = storedFilter(statePaths(root, id).directory);
  if (stored !== undefined) return stored;
  const { filterOf } = await import("./filter.ts");
  return await filterOf(profile);
}

/** The `CLONE_NEW…` flags of a config's namespaces, made or joined. */
export function namespacesOf({ linux }: Spec): number {
  return (linux?.namespaces ?? []).reduce((all, ns) => all | namespaceFlag(ns), 0) >>> 0;
}

/**
 * Runs a startContainer hook: a program of the container's, with the rights that the container has.
 *
 * @throws {CrateError}
 */
export async function runInside(
  state: ContainerState,
  root: string,
  { path, args, env, timeout }: Hook,
  input: string,
): Promise<void> {
  const pidfd = openProcess(state.process!.init);
  if (pidfd === undefined) throw new CrateError("START", "the container's init has ended");
  const stdin = syscall("memfd_create", "state", MFD_CLOEXEC);
  const none = nullStdio();
  try {
    writeAll(stdin, input);
    syscall("lseek", stdin, 0, 0);
    const launched = await execInState(state, pidfd, {
      root,
      detached: false,
      stdio: [stdin, none, none],
      process: ({ process }) => ({
        ...process!,
        terminal: false,
        args: [path, ...args?.slice(1) ?? []],
        env: env ?? [],
        cwd: "/",
      }),
    });
    let late = false;
    const prevent = timeout === undefined ? undefined : after(timeout * 1000, () => {
      late = true;
      trySyscall("shutdown", launched.control, 2);
    });
    const { code } = await waitForExit(launched).finally(prevent);
    if (late) throw new CrateError("START", `did not end within its timeout of ${timeout} s`);
    if (code !== 0) throw new CrateError("START", `exited with ${code}`);
  } finally {
    for (const fd of [stdin, none, pidfd]) close(fd);
  }
}
