import {
  AT_FDCWD,
  type Cell,
  CLONE_NEWCGROUP,
  CLONE_NEWUSER,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_WRONLY,
  PR_SET_DUMPABLE,
  type Program,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Process, Spec } from "../../spec/mod.ts";
import { consolePair, openConsole, takeConsole } from "./console.ts";
import { type Execution, prepareExecution } from "./execute.ts";
import { becomeRoot, setRlimits } from "./identity.ts";
import { finishProcess } from "./init.ts";
import type { CgroupJoin, PrepareOwn, Preserved } from "./input.ts";
import { labelWrites, writeBelow } from "./labels.ts";
import { type Output, supervise } from "./monitor.ts";
import { makeFilesystem } from "./filesystem.ts";
import { CONTROL } from "./protocol.ts";
import { awaitByte, release } from "./release.ts";
import { bitsOf, setSchedule } from "./schedule.ts";
import { below, openBelow, Scope } from "./scope.ts";

/** The descriptor of the container's init, a pidfd, that an exec's program starts with. */
export const EXEC_PIDFD = 5;

/** Everything that becomes the program of another process in a running container. */
export interface ExecInput {
  readonly process: Process;
  /** Where the arguments are not those of `process`, but what the program is started with: `prepareOwnExecution`. */
  readonly prepareOwn?: PrepareOwn;
  /** The `CLONE_NEW…` flags of the namespaces to join. */
  readonly namespaces: number;
  readonly cgroup: CgroupJoin;
  readonly seccomp?: { readonly filter: Uint8Array; readonly flags: number };
  readonly lastCapability: number;
  readonly detached: boolean;
  /** Its parent is whoever called crate; absent: a monitor of crate's. */
  readonly engine?: ExecEngine;
  readonly preserved?: Preserved;
  /** The descriptor of a socket on which somebody takes the listener of the seccomp filter. */
  readonly listener?: number;
  /**
   * The descriptor of the container's cgroup namespace: from inside a user namespace the kernel lets nobody by who asks
   * by a process that was never executed there, as crate's own small init is.
   */
  readonly cgroupNamespace?: number;
  /** crate is in a user namespace itself. */
  readonly isInUserNamespace?: boolean;
  /** The container's config, for the user namespace that it has. */
  readonly spec: Spec;
}

/** A process of an engine's. */
export interface ExecEngine {
  /** The descriptor of the engine's socket for the console. */
  readonly console?: number;
}

/**
 * The program of `exec`: a process that joins all of the container's namespaces at once through its
 * init's pidfd (setns(2)), and in them the user's, made as the container's own is. The first one is its
 * monitor, or ends at once when an engine is the parent.
 */
export function compileExec(input: ExecInput): Program {
  const s = new Scope();
  const { p } = s;
  const { process, detached, engine } = input;
  const groups: Cell[] = [];
  let execution: Execution | undefined;
  const join = (flags: number, descriptor = EXEC_PIDFD) => {
    if (flags === 0) return;
    p.call("setns", [descriptor, flags], { label: "join the container's namespaces" });
  };
  const before = () => {
    const { initial } = process.execCPUAffinity ?? {};
    if (initial) setAffinity(s, initial);
    execution = input.prepareOwn?.(s, process.env ?? []);
    // Opened while the host's paths are there; written by the process itself.
    for (const file of input.cgroup.files) {
      const group = s.descriptor("tasks");
      p.call("openat", [AT_FDCWD, p.string(file), O_WRONLY | O_CLOEXEC, 0], {
        label: `join ${file}`,
        result: group,
      });
      groups.push(group);
    }
    // From here on what runs in the container can see this process: it must not look into it.
    p.call("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], { label: "hide from the container" });
    join(input.namespaces & ~CLONE_NEWCGROUP);
  };
  const joined = ({ console, life }: Partial<Output>) => {
    p.call("umask", [0]);
    if (input.listener !== undefined) awaitByte(s, "wait for the starter");
    for (const group of groups) {
      p.call("write", [valueOf(group), p.string("0"), 1], { label: "join the container's groups" });
      p.call("close", [valueOf(group)]);
    }
    const { final } = process.execCPUAffinity ?? {};
    if (final) setAffinity(s, final);
    // Only now: from inside the namespace the kernel finds no way into its groups (nsdelegate).
    join(input.namespaces & CLONE_NEWCGROUP, input.cgroupNamespace);
    prepareProcess(s, input, execution ?? prepareExecution(s, process), { console, life });
  };
  const name = "crate-exec";
  const cgroup = input.cgroup.descriptor;
  if (engine !== undefined) {
    release(s, { name, namespaces: 0, cgroup, before }, () => joined({}));
  } else {
    const logged = detached && process.terminal === true;
    supervise(s, {
      name,
      namespaces: 0,
      cgroup,
      lastDescriptor: lastOf(input),
      detached,
      // A detached process's terminal is read, so that it does not stop, and not kept.
      log: logged ? "/dev/null" : undefined,
      console: logged ? { pair: consolePair, take: takeConsole } : undefined,
      removeFiles: [],
      removeDirectories: [],
      cgroupDirectories: [],
      before,
      after: () => {
        execution?.forget?.(name);
        for (const group of groups) p.call("close", [valueOf(group)]);
      },
    }, joined);
  }
  s.writeAsides();
  return p.build();
}

/** The last of the descriptors that the program was started with. */
function lastOf({ cgroup, cgroupNamespace = 0, preserved, listener = 0 }: ExecInput): number {
  const handedOn = preserved === undefined ? 0 : preserved.first + preserved.count - 1;
  return Math.max(cgroup.descriptor ?? EXEC_PIDFD, cgroupNamespace, listener, handedOn);
}

/** In the container's namespaces and groups: from there to execve. */
function prepareProcess(
  s: Scope,
  input: ExecInput,
  execution: Execution,
  { console, life }: Partial<Output>,
): void {
  const { p } = s;
  const { process, engine } = input;
  const inUser = (input.namespaces & CLONE_NEWUSER) !== 0;
  if (inUser) becomeRoot(s, input.spec);
  const root = s.descriptor("root");
  p.call("setsid", [], { label: "begin a session" });
  p.call("openat", [AT_FDCWD, p.string("/"), O_PATH | O_DIRECTORY | O_CLOEXEC, 0], {
    label: "open the container's root",
    result: root,
  });
  if (process.terminal) {
    const socket = console === undefined ? engine?.console ?? CONTROL : valueOf(console);
    openConsole(s, valueOf(root), process, socket, undefined);
  }
  const cwd = s.descriptor("working directory");
  openBelow(s, valueOf(root), below(process.cwd), O_PATH | O_DIRECTORY, {
    label: `enter ${process.cwd}`,
    result: cwd,
  });
  if (!inUser) setRlimits(s, process);
  setSchedule(s, process);
  const labels = labelWrites(process);
  if (labels.length > 0) {
    const proc = makeFilesystem(s, "proc", "proc", [], 0, "mount proc for settings");
    for (const write of labels) writeBelow(s, valueOf(proc), write);
    p.call("close", [valueOf(proc)]);
  }
  finishProcess(s, {
    process,
    execution,
    cwd,
    seccomp: input.seccomp,
    lastCapability: input.lastCapability,
    monitor: life,
    preserved: input.preserved,
    listener: input.listener,
    synchronised: input.listener !== undefined,
    mayKeepGroups: inUser || input.isInUserNamespace,
  });
}

/** sched_setaffinity(2) */
function setAffinity(s: Scope, cpus: string): void {
  const mask = bitsOf(cpus);
  s.p.call("sched_setaffinity", [0, mask.length, s.p.bytes(mask, cpus)], {
    label: `run on the processors ${cpus}`,
  });
}
