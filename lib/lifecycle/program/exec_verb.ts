import {
  AF_UNIX,
  type Argument,
  AT_FDCWD,
  type Cell,
  clone_args,
  CLONE_PIDFD,
  CLONE_VFORK,
  CLONE_VM,
  enter,
  F_ADD_SEALS,
  F_GETFD,
  F_SEAL_ALL,
  type Label,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  MSG_NOSIGNAL,
  NEXT,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  P_PIDFD,
  placeIn,
  pollfd,
  POLLIN,
  type Program,
  resetDispositions,
  setDisposition,
  SIGCHLD,
  SIGKILL,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  timespec,
  valueOf,
  WEXITED,
} from "../../../ffi/mod.ts";
import type { FreezerFiles } from "../../cgroup/mod.ts";
import type { ProcessId } from "../process_id.ts";
import { findLine, readBytes, unlessEnded, unlessPaused } from "./lines.ts";
import { CONTROL, RECORD_SIZE } from "./protocol.ts";
import { openSignals, relay, RELAY_PIDFD } from "./relay.ts";
import { Scope } from "./scope.ts";

// A container's exec, as a program: once crate has executed something in it, all is known but the arguments of the
// next one. Whoever asks for that walks what crate itself does: looks whether the container runs, starts exec's
// program, lets it go on, and becomes its relay. See verbs.ts for the container's other verbs.

/**
 * Where the container's arguments begin in those of the process that walks the program, which come from
 * scripts/verbs.sh: itself, the launcher, its `--root`, `exec`, the container.
 */
const ARGUMENTS = 5;

/** What a container's exec depends on. */
export interface ExecVerbInput {
  readonly init: ProcessId;
  /** How to see that it is paused; absent: it cannot be. */
  readonly freezer?: FreezerFiles;
  /** The v2 group that the process joins, and the line of the init's /proc/PID/cgroup from which that is known. */
  readonly group?: { readonly directory: string; readonly line: string };
  /** The program of exec with its own arguments, in an ELF file. */
  readonly program: Uint8Array<ArrayBuffer>;
  /** The file of this program. */
  readonly file: string;
}

/** The program of a container's exec; until the user's program runs, whatever fails is left to crate. */
export function compileExecVerb(input: ExecVerbInput): Program {
  const s = new Scope();
  const { p } = s;
  const [begin, ask] = [p.label("exec"), p.label("ask crate")];
  p.jump(begin);
  p.place(begin);
  // Else what is opened next would be one of the three.
  for (const fd of [0, 1, 2]) p.call("fcntl", [fd, F_GETFD, 0], { negative: ask });
  const init = s.descriptor("init's pidfd");
  // The first to be opened: what comes later is not in a place of the relay's.
  p.call("pidfd_open", [input.init.pid, 0], { result: init, negative: ask });
  unlessEnded(s, input.init, ask);
  unlessPaused(s, input.freezer, ask);
  const group = input.group && openGroup(s, input, input.group, ask);
  const signals = openSignals(s);
  const started = startProgram(s, input.program, [valueOf(init), ...group ? [valueOf(group)] : []]);
  letGo(s, started, ask);
  takePlaces(s, signals);
  relay(s, signals, {});

  p.place(ask);
  // A step that fails: the loader knows what that means.
  p.compute(-1, 0, -1);
  s.writeAsides();
  return p.build();
}

/** The group's descriptor, while the init is where it was; else this program has had its time. */
function openGroup(
  s: Scope,
  { init, file }: ExecVerbInput,
  { directory, line }: NonNullable<ExecVerbInput["group"]>,
  ask: Label,
): Cell {
  const { p } = s;
  const group = s.descriptor("group");
  const [found, absent] = [s.label("in its group"), s.label("elsewhere")];
  findLine(s, line, { ...readBytes(s, `/proc/${init.pid}/cgroup`, ask), found, absent });
  p.place(absent);
  p.call("unlinkat", [AT_FDCWD, p.string(file), 0], { negative: ask });
  p.jump(ask);
  p.place(found);
  const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  p.call("openat", [AT_FDCWD, p.string(directory), flags, 0], { result: group });
  return group;
}

/** What has been started: exec's program, and how to talk with it. */
interface StartedProgram {
  readonly pidfd: Cell;
  readonly control: Cell;
  readonly report: Cell;
}

/** As `launch`: a sealed file in memory, a socket, a pipe, a process. */
function startProgram(
  s: Scope,
  program: Uint8Array<ArrayBuffer>,
  more: readonly Argument[],
): StartedProgram {
  const { p } = s;
  const file = s.descriptor("program");
  const written = s.descriptor("written");
  const [plain, made, whole] = ["no MFD_EXEC", "made", "whole"].map((name) => s.label(name)) as [
    Label,
    Label,
    Label,
  ];
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  const name = p.string("crate");
  p.call("memfd_create", [name, flags | MFD_EXEC], {
    result: file,
    negative: plain,
    zero: made,
    positive: made,
  });
  p.place(plain);
  // Before Linux 6.3; where executable ones are forbidden, starting it fails.
  p.call("memfd_create", [name, flags], { result: file });
  p.place(made);
  const { length } = program;
  p.call("write", [valueOf(file), p.bytes(program, "exec's program"), length], { result: written });
  p.jumpIfEqual(valueOf(written), length, whole);
  p.compute(-1, 0, -1, { label: "write the program" });
  p.place(whole);
  p.call("fcntl", [valueOf(file), F_ADD_SEALS, F_SEAL_ALL]);

  const pair = p.variable("control sockets", 8);
  const pipe = p.variable("report pipe", 8);
  p.call("socketpair", [AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair]);
  p.call("pipe2", [pipe, O_CLOEXEC]);
  const [control, report] = [s.descriptor("control"), s.descriptor("report end")];
  p.set(control, valueOf(pair));
  p.set(report, valueOf(pipe));
  const pidfd = s.descriptor("program's pidfd");
  const args = p.variableStruct("clone_args", clone_args, {
    flags: CLONE_VM | CLONE_VFORK | CLONE_PIDFD,
    exit_signal: SIGCHLD,
  });
  p.pointer(placeIn(args, clone_args.offset("pidfd")), pidfd);
  const child = s.label("child");
  p.call("clone3", [args, clone_args.size], { zero: child });
  p.call("close", [valueOf(pair, 4)], { negative: NEXT });
  p.call("close", [valueOf(pipe, 4)], { negative: NEXT });
  s.aside(() => {
    const failed = s.label("not started");
    p.place(child);
    resetDispositions(p);
    enter(p, {
      file: valueOf(file),
      descriptors: [0, 1, 2, valueOf(pair, 4), valueOf(pipe, 4), ...more],
      argv: { own: "argv", from: ARGUMENTS },
      mask: p.bytes(new Uint8Array(8), "{}"),
      failed,
    });
    p.place(failed);
    p.call("exit_group", [127], { negative: NEXT });
  });
  return { pidfd, control, report };
}

/**
 * Waits for the program's process, lets it go on, and waits until the user's program has been executed. One that has
 * not been is gone when crate is asked.
 */
function letGo(s: Scope, { pidfd, control, report }: StartedProgram, ask: Label): void {
  const { p } = s;
  const failed = s.label("failed");
  const { size } = pollfd;
  const initial = new Uint8Array(2 * size);
  initial.set(pollfd.pack({ events: POLLIN }), 0);
  initial.set(pollfd.pack({ events: POLLIN }), size);
  const polled = p.variable("program's pollfds", initial.length, initial);
  p.set(placeIn(polled, 0), valueOf(report));
  p.set(placeIn(polled, size), valueOf(pidfd));
  // The kernel reaps it: the relay has nobody who would.
  setDisposition(p, "SIG_IGN", SIGCHLD);
  const [poll, told] = [s.label("wait for its pid"), s.label("told")];
  p.place(poll);
  p.call("ppoll", [polled, 2, 0, 0, 8], { negative: poll });
  p.compute(valueOf(polled, 4), 0, 0x7fff0000, { positive: told });
  p.jump(failed); // it was killed, and its child keeps the report open
  p.place(told);
  const record = p.variable("record", RECORD_SIZE);
  p.call("read", [valueOf(report), record, RECORD_SIZE], { zero: failed, negative: failed });
  unlessZero(s, record, failed);
  const process = s.descriptor("process");
  p.call("pidfd_open", [valueOf(record, 8), 0], { result: process, negative: failed });
  // While its parent is there, the pid is its own.
  const now = p.bytes(new Uint8Array(timespec.size), "at once");
  const own = placeIn(polled, size);
  p.call("ppoll", [{ address: own }, 1, now, 0, 8], { positive: failed, negative: failed });
  const go = p.bytes(new Uint8Array([1]), "go on");
  p.call("sendto", [valueOf(control), go, 1, MSG_NOSIGNAL, 0, 0], { negative: NEXT });
  const executed = s.label("executed");
  p.call("read", [valueOf(report), record, RECORD_SIZE], { zero: executed, negative: executed });
  p.place(failed);
  p.call("close", [valueOf(control)], { negative: NEXT });
  p.call("close", [valueOf(report)], { negative: NEXT });
  p.call("waitid", [P_PIDFD, valueOf(pidfd), 0, WEXITED, 0], { negative: NEXT });
  setDisposition(p, "SIG_DFL", SIGCHLD);
  p.jump(ask);

  p.place(executed);
  p.call("dup3", [valueOf(control), CONTROL, O_CLOEXEC], { negative: NEXT });
  p.call("dup3", [valueOf(process), RELAY_PIDFD, O_CLOEXEC], { negative: NEXT });
  // Without its monitor nobody would tell of its end; one that has ended itself takes no signal.
  const watched = s.label("watched");
  p.call("ppoll", [{ address: own }, 1, now, 0, 8], { zero: watched, negative: watched });
  p.call("pidfd_send_signal", [RELAY_PIDFD, SIGKILL, 0, 0], { negative: NEXT });
  p.place(watched);
}

/** Goes on at `failed` when a record tells a failure: its first number is the step's address. */
function unlessZero(s: Scope, record: Cell, failed: Label): void {
  for (const half of [0, 4]) {
    const zero = s.label("no failure");
    s.p.jumpIfEqual(valueOf(record, half), 0, zero);
    s.p.jump(failed);
    s.p.place(zero);
  }
}

/** The relay has its descriptors, and nothing else of this process's or its caller's. */
function takePlaces(s: Scope, signals: Cell): void {
  const { p } = s;
  const place = RELAY_PIDFD + 1;
  p.call("dup3", [valueOf(signals), place, O_CLOEXEC], { negative: NEXT });
  p.set(signals, place);
  p.call("close_range", [place + 1, 0xffffffff, 0], { negative: NEXT });
}
