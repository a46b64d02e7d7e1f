import {
  AF_NETLINK,
  type Argument,
  AT_FDCWD,
  clone_args,
  CLONE_PIDFD,
  NETLINK_NETFILTER,
  O_CLOEXEC,
  O_RDWR,
  P_PIDFD,
  placeIn,
  pollfd,
  POLLIN,
  SIG_SETMASK,
  SIGCHLD,
  SIGKILL,
  SOCK_CLOEXEC,
  SOCK_RAW,
  timespec,
  valueOf,
  WEXITED,
} from "../../../ffi/mod.ts";
import type { LeaveStep, MonitoredNetwork } from "./input.ts";
import type { Scope } from "./scope.ts";

const SHUT_RDWR = 2;
/** Seconds that a program may take to give back what a container had. */
const PATIENCE = 60;
/** What becomes of a child whose program cannot be executed. */
const NOT_EXECUTED = 127;

/**
 * What a container had of networks is given back, before anybody is told of the end: who hears of it may want the
 * container's ports at once.
 *
 * @param first the first of the descriptors that are held.
 */
export function leaveNetworks(
  s: Scope,
  { held, lasting = 0, steps = [], atEnd }: MonitoredNetwork,
  first: number,
): void {
  const { p } = s;
  for (const step of steps) {
    if (step.kind === "run") runStep(s, step, first);
    else endStep(s, step, first);
  }
  if (atEnd.length > 0) closePorts(s, atEnd);
  // Now others may have them: what they put into the firewall is not taken out by the above.
  if (held > lasting) p.call("close_range", [first + lasting, first + held - 1, 0]);
}

/** Runs a program to its end. */
function runStep(s: Scope, step: LeaveStep & { kind: "run" }, first: number): void {
  const { p } = s;
  const { path, env, input, namespace } = step;
  const label = `run ${path}`;
  const pidfd = s.descriptor("program's pidfd");
  const args = p.variableStruct("clone_args", clone_args, {
    flags: CLONE_PIDFD,
    exit_signal: SIGCHLD,
  });
  p.pointer(placeIn(args, clone_args.offset("pidfd")), pidfd);
  const child = s.label("program");
  const next = s.label("next");
  p.call("clone3", [args, clone_args.size], { label, zero: child, negative: next });
  s.aside(() => {
    p.place(child);
    const give = s.label("give up");
    const or = { label, negative: give };
    const none = s.descriptor("/dev/null");
    const signals = p.bytes(new Uint8Array(8), "{}");
    p.call("dup3", [first + input, 0, 0], or);
    p.call("openat", [AT_FDCWD, p.string("/dev/null"), O_RDWR | O_CLOEXEC, 0], {
      ...or,
      result: none,
    });
    // It may be one of the two itself, and then dup3(2) refuses: its number is the lowest that is free.
    p.call("dup3", [valueOf(none), 2, 0], or);
    p.call("dup3", [2, 1, 0], or);
    p.call("rt_sigprocmask", [SIG_SETMASK, signals, 0, 8], or);
    const variables = [...env, `CNI_NETNS=/proc/self/fd/${first + namespace}`];
    const argv = p.pointers([p.string(path)], `[${path}]`);
    const envp = p.pointers(
      variables.map((each) => p.string(each)),
      `(${variables.length} variables)`,
    );
    p.call("execve", [p.string(path), argv, envp], or);
    p.place(give);
    p.call("exit_group", [NOT_EXECUTED]);
  });
  waitFor(s, valueOf(pidfd), label);
  const reaped = s.label("reaped");
  p.call("waitid", [P_PIDFD, valueOf(pidfd), 0, WEXITED, 0], { label, negative: reaped });
  p.place(reaped);
  p.call("close", [valueOf(pidfd)], { label, negative: next });
  p.place(next);
}

/** Ends a program that stayed with the container, by way of its own monitor. */
function endStep(s: Scope, step: LeaveStep & { kind: "end" }, first: number): void {
  const { p } = s;
  const next = s.label("next");
  const label = `end ${step.name}`;
  p.call("shutdown", [first + step.control, SHUT_RDWR], { label, negative: next });
  p.place(next);
  waitFor(s, first + step.pidfd, label);
}

/** Waits for the end of a process, and kills it when that does not come. */
function waitFor(s: Scope, pidfd: Argument, label: string): void {
  const { p } = s;
  const polled = p.variable("pollfd", pollfd.size, pollfd.pack({ events: POLLIN }));
  const time = p.variable("patience", timespec.size, timespec.pack({ tv_sec: PATIENCE }));
  const late = s.label("late");
  const done = s.label("done");
  p.set(placeIn(polled, 0), pidfd);
  p.call("ppoll", [polled, 1, time, 0, 8], { label, zero: late, negative: late });
  p.place(done);
  s.aside(() => {
    p.place(late);
    p.call("pidfd_send_signal", [pidfd, SIGKILL, 0, 0], { label, negative: done });
    p.jump(done);
  });
}

/** Nothing listens to the answers: what is not taken out now is found by the next crate that looks. */
function closePorts(s: Scope, messages: MonitoredNetwork["atEnd"]): void {
  const { p } = s;
  const label = "close its ports in the firewall";
  const done = s.label("ports closed");
  const socket = s.descriptor("nftables");
  p.call("socket", [AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER], {
    label,
    result: socket,
    negative: done,
  });
  for (const bytes of messages) {
    const next = s.label("next");
    const message = p.bytes(bytes, "take the ports out");
    p.call("sendto", [valueOf(socket), message, bytes.length, 0, 0, 0], { label, negative: next });
    p.place(next);
  }
  p.place(done);
}
