import {
  AF_UNIX,
  type Argument,
  AT_FDCWD,
  type Cell,
  clone_args,
  CLONE_PARENT,
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
  rlimit64,
  SIGCHLD,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  valueOf,
  WEXITED,
} from "../../../ffi/mod.ts";
import type { FreezerFiles } from "../../cgroup/mod.ts";
import { rlimitNumber } from "../../security/mod.ts";
import type { ProcessId } from "../process_id.ts";
import { findLine, processCells, readBytes, unlessEnded, unlessPaused } from "./lines.ts";
import { RECORD_SIZE } from "./protocol.ts";
import { Scope } from "./scope.ts";

const SHUT_RDWR = 2;

// What programs that execute something in a container consist of, for those who walk them without crate: looking whether
// the container runs, starting exec's program, talking with it. exec_verb.ts, engine_exec_verb.ts

/** What a walked exec depends on. */
export interface WalkedExec {
  readonly init: ProcessId;
  /** How to see that it is paused; absent: it cannot be. */
  readonly freezer?: FreezerFiles;
  /** The v2 group that the process joins, and the line of the init's /proc/PID/cgroup from which that is known. */
  readonly group?: { readonly directory: string; readonly line: string };
  /** The program of exec, in an ELF file. */
  readonly program: Uint8Array<ArrayBuffer>;
  /** The file of the walked program. */
  readonly file: string;
}

/** The program that these steps are: where they go on at `ask`, or one fails, crate is asked. */
export function compileWalked(write: (s: Scope, ask: Label) => void): Program {
  const s = new Scope();
  const { p } = s;
  const [begin, ask] = [p.label("exec"), p.label("ask crate")];
  p.jump(begin);
  p.place(begin);
  write(s, ask);
  p.place(ask);
  // A step that fails: the loader knows what that means.
  p.compute(-1, 0, -1);
  s.writeAsides();
  return p.build();
}

/**
 * Goes on at `ask` when nothing can be executed in the container.
 *
 * @returns what exec's program starts with: the init's pidfd, the group where there is one.
 */
export function openContainer(s: Scope, input: WalkedExec, ask: Label): Argument[] {
  const { p } = s;
  // Else what is opened next would be one of the three.
  for (const fd of [0, 1, 2]) p.call("fcntl", [fd, F_GETFD, 0], { negative: ask });
  const init = s.descriptor("init's pidfd");
  const [ended, lives] = [s.label("ended"), s.label("lives")];
  p.call("pidfd_open", [input.init.pid, 0], { result: init, negative: ended });
  unlessEnded(s, processCells(s, input.init), ended);
  p.jump(lives);
  p.place(ended);
  // It may have been started again, with another init: this program has had its time.
  p.call("unlinkat", [AT_FDCWD, p.string(input.file), 0], { negative: ask });
  p.jump(ask);
  p.place(lives);
  raiseDescriptors(s);
  unlessPaused(s, input.freezer, ask);
  const group = input.group && openGroup(s, input, input.group, ask);
  return [valueOf(init), ...group ? [valueOf(group)] : []];
}

/**
 * Raises the limit of open files as far as it may be: Deno does so at its start, and what is executed in a container has
 * the same limit whoever does it.
 */
export function raiseDescriptors(s: Scope): void {
  const { p } = s;
  const limit = p.variable("limit of open files", rlimit64.size);
  const number = rlimitNumber("RLIMIT_NOFILE");
  const [soft, hard] = [rlimit64.offset("rlim_cur"), rlimit64.offset("rlim_max")];
  const next = s.label("limit");
  p.call("prlimit64", [0, number, 0, limit], { negative: next });
  for (const half of [0, 4]) p.set(placeIn(limit, soft + half), valueOf(limit, hard + half));
  p.call("prlimit64", [0, number, limit, 0], { negative: next });
  p.place(next);
}

/** The group's descriptor, while the init is where it was; else this program has had its time. */
function openGroup(
  s: Scope,
  { init, file }: WalkedExec,
  { directory, line }: NonNullable<WalkedExec["group"]>,
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
export interface StartedProgram {
  /** Its first process's. */
  readonly pid: Cell;
  readonly pidfd: Cell;
  readonly control: Cell;
  readonly report: Cell;
}

/** What is left for a parent, in cells. */
export interface ForParent {
  /** The control sockets, which it has made: the first is its own. */
  readonly pair: Cell;
  /** The program's pid. */
  readonly pid: Cell;
  /** Zero as long as nothing can have been executed. */
  readonly isGoing: Cell;
}

/** What a program is started with. */
export interface StartInput {
  /** Its ELF file; or the steps that write it. */
  readonly program: Uint8Array<ArrayBuffer> | ((file: Argument) => void);
  readonly argv: Argument;
  /** What it has as 0, 1 and 2; absent: this process's own. */
  readonly standard?: readonly Argument[];
  /** Its descriptors from 5 on. */
  readonly more: readonly Argument[];
  /** Where a failing step goes on; absent: at the program's handler. */
  readonly failed?: Label;
  /** For a process that starts it for its own parent. */
  readonly forParent?: ForParent;
}

/** As `launch`: a sealed file in memory, a socket, a pipe, a process. */
export function startProgram(
  s: Scope,
  { program, argv, standard = [0, 1, 2], more, failed: negative, forParent }: StartInput,
): StartedProgram {
  const { p } = s;
  const file = s.descriptor("program");
  const [plain, made] = ["no MFD_EXEC", "made"].map((name) => s.label(name)) as [Label, Label];
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
  p.call("memfd_create", [name, flags], { result: file, negative });
  p.place(made);
  if (typeof program === "function") program(valueOf(file));
  else writeWhole(s, valueOf(file), program, negative);
  p.call("fcntl", [valueOf(file), F_ADD_SEALS, F_SEAL_ALL], { negative });

  const pair = forParent?.pair ?? p.variable("control sockets", 8);
  const pipe = p.variable("report pipe", 8);
  if (forParent === undefined) {
    p.call("socketpair", [AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair], { negative });
  }
  p.call("pipe2", [pipe, O_CLOEXEC], { negative });
  const [control, report] = [s.descriptor("control"), s.descriptor("report end")];
  p.set(control, valueOf(pair));
  p.set(report, valueOf(pipe));
  const pidfd = s.descriptor("program's pidfd");
  const args = p.variableStruct("clone_args", clone_args, {
    flags: CLONE_VM | CLONE_VFORK | CLONE_PIDFD + (forParent === undefined ? 0 : CLONE_PARENT),
    // A parent's other child ends as this process does. clone(2), CLONE_PARENT
    exit_signal: forParent === undefined ? SIGCHLD : 0,
  });
  p.pointer(placeIn(args, clone_args.offset("pidfd")), pidfd);
  const child = s.label("child");
  const pid = forParent?.pid ?? s.descriptor("program's pid");
  p.call("clone3", [args, clone_args.size], { result: pid, zero: child, negative });
  p.call("close", [valueOf(pair, 4)], { negative: NEXT });
  p.call("close", [valueOf(pipe, 4)], { negative: NEXT });
  s.aside(() => {
    const failed = s.label("not started");
    p.place(child);
    resetDispositions(p);
    enter(p, {
      file: valueOf(file),
      descriptors: [...standard, valueOf(pair, 4), valueOf(pipe, 4), ...more],
      argv,
      mask: p.bytes(new Uint8Array(8), "{}"),
      failed,
    });
    p.place(failed);
    p.call("exit_group", [127], { negative: NEXT });
  });
  return { pid, pidfd, control, report };
}

function writeWhole(
  s: Scope,
  file: Argument,
  bytes: Uint8Array<ArrayBuffer>,
  negative: Label | undefined,
): void {
  const { p } = s;
  const { length } = bytes;
  const [written, whole] = [s.descriptor("written"), s.label("whole")];
  p.call("write", [file, p.bytes(bytes, "the program"), length], { result: written, negative });
  p.jumpIfEqual(valueOf(written), length, whole);
  p.compute(-1, 0, -1, { label: "write the program", negative });
  p.place(whole);
}

/** The process that a program has told. */
export interface ToldProcess {
  readonly pid: Argument;
  readonly pidfd: Cell;
}

/** Waits until the program tells its process, and opens that. */
export function awaitProcess(
  s: Scope,
  { pidfd, report }: StartedProgram,
  failed: Label,
): ToldProcess {
  const { p } = s;
  const { size } = pollfd;
  const initial = new Uint8Array(2 * size);
  initial.set(pollfd.pack({ events: POLLIN }), 0);
  initial.set(pollfd.pack({ events: POLLIN }), size);
  const polled = p.variable("program's pollfds", initial.length, initial);
  // In this order: the kernel looks at one after the other, and who has ended meanwhile has told before.
  p.set(placeIn(polled, 0), valueOf(pidfd));
  p.set(placeIn(polled, size), valueOf(report));
  const [poll, told] = [s.label("wait for its pid"), s.label("told")];
  p.place(poll);
  p.call("ppoll", [polled, 2, 0, 0, 8], { negative: poll });
  p.compute(valueOf(polled, size + 4), 0, 0x7fff0000, { positive: told });
  p.jump(failed); // it was killed, and its child keeps the report open
  p.place(told);
  const record = p.variable("record", RECORD_SIZE);
  p.call("read", [valueOf(report), record, RECORD_SIZE], { zero: failed, negative: failed });
  // A failure's first number is the step's address.
  for (const half of [0, 4]) {
    const zero = s.label("no failure");
    p.jumpIfEqual(valueOf(record, half), 0, zero);
    p.jump(failed);
    p.place(zero);
  }
  const process = s.descriptor("process");
  const pid = valueOf(record, 8);
  p.call("pidfd_open", [pid, 0], { result: process, negative: failed });
  return { pid, pidfd: process };
}

/** Lets the process go on, and waits until the user's program has been executed, or has not. */
export function letGo(
  s: Scope,
  { control, report }: StartedProgram,
  executed: Label,
  failed: Label,
): void {
  const { p } = s;
  const go = p.bytes(new Uint8Array([1]), "go on");
  const record = p.variable("failure", RECORD_SIZE);
  p.call("sendto", [valueOf(control), go, 1, MSG_NOSIGNAL, 0, 0], { negative: failed });
  p.call("read", [valueOf(report), record, RECORD_SIZE], {
    zero: executed,
    negative: executed,
    positive: failed,
  });
}

/** Gives up the program: without a starter its process ends. Goes on when nothing is left of it. */
export function abandon(s: Scope, { pidfd, control, report }: StartedProgram): void {
  const { p } = s;
  // Another process may have it, too.
  p.call("shutdown", [valueOf(control), SHUT_RDWR], { negative: NEXT });
  p.call("close", [valueOf(control)], { negative: NEXT });
  p.call("close", [valueOf(report)], { negative: NEXT });
  // It need not be this process's child.
  const ended = p.variable("program's end", pollfd.size, pollfd.pack({ events: POLLIN }));
  const poll = s.label("until its end");
  p.set(placeIn(ended, 0), valueOf(pidfd));
  p.place(poll);
  p.call("ppoll", [ended, 1, 0, 0, 8], { negative: poll });
  p.call("waitid", [P_PIDFD, valueOf(pidfd), 0, WEXITED, 0], { negative: NEXT });
}
