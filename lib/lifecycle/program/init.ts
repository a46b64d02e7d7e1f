import {
  type Cell,
  clone_args,
  CLOSE_RANGE_CLOEXEC,
  ENOENT,
  F_DUPFD_CLOEXEC,
  O_CLOEXEC,
  P_ALL,
  placeIn,
  pollfd,
  POLLIN,
  PR_SET_DUMPABLE,
  PR_SET_PDEATHSIG,
  SECCOMP_FILTER_FLAG_NEW_LISTENER,
  SIG_SETMASK,
  SIGCHLD,
  siginfo,
  SIGKILL,
  timespec,
  valueOf,
  WEXITED,
  WNOHANG,
} from "../../../ffi/mod.ts";
import type { Process } from "../../spec/mod.ts";
import { execute, type Execution, lookFor } from "./execute.ts";
import { becomeUser, filterForGood, loadFilter } from "./identity.ts";
import { prepareListener, tellListener } from "./listener.ts";
import type { Preserved } from "./input.ts";
import { exitAs } from "./monitor.ts";
import { CONTROL, REPORT, SETUP_FAILED, STAGE_CREATED } from "./protocol.ts";
import { awaitByte, awaitStage, awaitStart } from "./release.ts";
import type { Scope } from "./scope.ts";

/** The first bytes of getcwd's answer for a directory that is not below the root, getcwd(3). */
const UNREACHABLE = "(".charCodeAt(0);

/** What the last part of every container process is made from. */
export interface Finish {
  readonly process: Process;
  readonly execution: Execution;
  /** An open descriptor of the working directory, verified to lie in the root. */
  readonly cwd: Cell;
  readonly seccomp?: { readonly filter: Uint8Array; readonly flags: number };
  readonly lastCapability: number;
  /** A first process of crate's own that reaps and forwards signals. */
  readonly init?: boolean;
  /** The life of its parent, a monitor of crate's, with whom it dies; absent: that is an engine. */
  readonly monitor?: Cell;
  /** The descriptor of the socket on which a created container waits for its start. */
  readonly start?: number;
  /** The descriptor of a socket on which somebody takes the listener of the seccomp filter. */
  readonly listener?: number;
  /** The starter counts its bytes: each stage is told. */
  readonly synchronised?: boolean;
  /** Descriptors that the user's program gets from 3 on. */
  readonly preserved?: Preserved;
  /** In a user namespace that may have been made without the right to change groups. */
  readonly mayKeepGroups?: boolean;
}

/** The umask, ids and capabilities, the wait for "go on", the filter, the user's program. */
export function finishProcess(s: Scope, finish: Finish): void {
  const { p } = s;
  const { process, seccomp } = finish;
  // Once it has no more rights than they have, the container's others must not look into this process, which
  // still has descriptors of the host's (CVE-2016-9962). execve(2) makes it one of them.
  p.call("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], { label: "hide from the container" });
  becomeUser(s, process, {
    last: finish.lastCapability,
    filtered: seccomp !== undefined,
    mayKeepGroups: finish.mayKeepGroups,
  });
  p.call("umask", [process.user?.umask ?? 0o022]);
  p.call("fchdir", [valueOf(finish.cwd)], { label: `enter ${process.cwd}` });
  verifyDirectory(s, process.cwd);
  // After the ids: changing them clears it. prctl(2)
  if (finish.monitor !== undefined) dieWith(s, finish.monitor);
  // A profile may have a listener's path and ask nobody anything.
  const asks = seccomp !== undefined && (seccomp.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) !== 0;
  const told = finish.listener === undefined || !asks
    ? undefined
    : prepareListener(s, finish.listener);
  if (finish.start === undefined) {
    if (finish.synchronised) awaitStage(s, STAGE_CREATED, "wait for the start");
    else awaitByte(s, "wait for the start");
  } else {
    // What can be known to fail at the start fails before the container is said to be created.
    lookFor(s, finish.execution);
    const none = { first: finish.start + (finish.listener === undefined ? 1 : 2), count: 0 };
    awaitStart(s, finish.start, finish.preserved ?? none, finish.listener);
  }
  if (finish.init) reap(s, finish);
  p.call("close_range", [3, 0xffffffff, CLOSE_RANGE_CLOEXEC], {
    label: "close all descriptors on execve",
  });
  if (finish.preserved !== undefined && finish.preserved.count > 0) {
    preserve(s, finish.preserved, told?.socket);
  }
  const none = p.bytes(new Uint8Array(8), "{}");
  p.call("rt_sigprocmask", [SIG_SETMASK, none, 0, 8], { label: "unblock signals" });
  if (seccomp !== undefined) {
    const listener = loadFilter(s, seccomp);
    if (told !== undefined) tellListener(s, told, listener);
  }
  execute(s, finish.execution);
}

/** Dies with the monitor, and now if that has died before it could be asked for: by then its end of the pipe is closed. */
function dieWith(s: Scope, life: Cell): void {
  const { p } = s;
  const label = "die with the monitor";
  const polled = p.variableStruct("pollfd", pollfd, { events: POLLIN });
  const gone = s.label("monitor gone");
  p.call("prctl", [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0], { label });
  p.call("close", [valueOf(life, 4)], { label });
  p.set(placeIn(polled, 0), valueOf(life));
  const now = p.bytes(new Uint8Array(timespec.size), "at once");
  p.call("ppoll", [polled, 1, now, 0, 8], { label, positive: gone });
  s.aside(() => {
    p.place(gone);
    p.call("exit_group", [SETUP_FAILED]);
  });
}

/** Puts the descriptors to hand on in their places; the report's moves out of the way. */
function preserve(s: Scope, { first, count }: Preserved, listener: Cell | undefined): void {
  const { p } = s;
  const label = "hand on descriptors";
  const copies: Cell[] = [];
  for (let i = 0; i < count; i++) {
    const copy = s.descriptor("handed on");
    p.call("fcntl", [first + i, F_DUPFD_CLOEXEC, first + count], { label, result: copy });
    copies.push(copy);
  }
  if (listener !== undefined) {
    const moved = s.descriptor("listener's socket");
    p.call("fcntl", [valueOf(listener), F_DUPFD_CLOEXEC, first + count], { label, result: moved });
    p.set(listener, valueOf(moved));
  }
  const report = s.descriptor("report");
  p.call("fcntl", [REPORT, F_DUPFD_CLOEXEC, first + count], { label, result: report });
  p.set(s.report, valueOf(report));
  copies.forEach((copy, i) => p.call("dup3", [valueOf(copy), 3 + i, 0], { label }));
}

/** The working directory must have a path in the container (CVE-2024-21626). */
function verifyDirectory(s: Scope, cwd: string): void {
  const { p } = s;
  const path = p.variable("working directory", 4096);
  const label = `enter ${cwd}: it is outside of the container`;
  p.call("getcwd", [path, 4096], { label: `enter ${cwd}` });
  const first = s.descriptor("first byte");
  const outside = s.label("outside");
  p.compute(valueOf(path), 0, 0xff, { result: first });
  p.jumpIfEqual(valueOf(first), UNREACHABLE, outside);
  s.aside(() => {
    p.place(outside);
    p.compute(-ENOENT, 0, -1, { label });
  });
}

/**
 * `--init`: this process stays the container's first and clones another to go on. It reaps whatever
 * is left to it and forwards every signal it gets, as docker-init does.
 */
function reap(s: Scope, { process, seccomp, execution }: Finish): void {
  const { p } = s;
  const args = p.struct(clone_args, { exit_signal: SIGCHLD });
  const child = s.descriptor("child");
  const signals = s.descriptor("signals");
  const all = p.bytes(new Uint8Array(8).fill(0xff), "all");
  const go = p.label("the user's process");
  p.call("signalfd4", [-1, all, 8, O_CLOEXEC], { label: "open signals", result: signals });
  p.call("clone3", [args, clone_args.size], {
    label: "clone the user's process",
    result: child,
    zero: go,
  });
  // It executes nothing, and would show for ever what the other one does.
  execution.forget?.("crate-monitor");
  // Of all descriptors two are left: the signals, and until nothing can fail any more the report.
  p.call("dup3", [valueOf(signals), CONTROL, O_CLOEXEC], { label: "open signals" });
  p.call("close_range", [0, CONTROL - 1, 0]);
  p.call("close_range", [REPORT + 1, 0xffffffff, 0]);
  if (seccomp !== undefined) filterForGood(s, process, seccomp);
  p.call("close", [REPORT], { label: "end the report" });
  const signal = p.variable("signal", 128);
  const info = p.variable("child's end", 128);
  const loop = p.label("reaper");
  const ended = p.label("a child ended");
  const own = p.label("the user's process ended");
  p.place(loop);
  p.call("read", [CONTROL, signal, 128], { negative: loop });
  p.jumpIfEqual(valueOf(signal), SIGCHLD, ended);
  p.call("kill", [valueOf(child), valueOf(signal)], { negative: loop, zero: loop });
  p.place(ended);
  p.set({ cell: info, offset: siginfo.offset("si_pid") }, 0);
  p.call("waitid", [P_ALL, 0, info, WEXITED | WNOHANG, 0], { label: "reap a child" });
  const pid = valueOf(info, siginfo.offset("si_pid"));
  p.jumpIfEqual(pid, 0, loop);
  p.jumpIfEqual(pid, valueOf(child), own);
  p.jump(ended);
  p.place(own);
  exitAs(s, info);
  p.place(go);
}
