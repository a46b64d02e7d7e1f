import {
  addressOf,
  AT_FDCWD,
  type Cell,
  F_SETFD,
  FD_CLOEXEC,
  type Label,
  NEXT,
  O_CLOEXEC,
  O_CREAT,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  P_PIDFD,
  type Program,
  valueOf,
  WEXITED,
} from "../../../ffi/mod.ts";
import { findLine, NEWLINE, readBytes } from "./lines.ts";
import type { Scope } from "./scope.ts";
import {
  abandon,
  awaitProcess,
  compileWalked,
  letGo,
  openContainer,
  startProgram,
  type WalkedExec,
} from "./walked_exec.ts";

// An engine's exec, as a program: what it executes to see whether a container is healthy is the same again and again, so
// that once crate has executed the same twice all is known but the file in which the engine says it, and the one for
// the pid. See exec_verb.ts for that of people.

/** The descriptor of the file with the process, from scripts/verbs.sh. */
const PROCESS_FILE = 4;
/** Which word of the walking process's is the file for the pid; scripts/verbs.sh has them in this order. */
const PID_FILE = 11;
/** Where the process's pidfd is while its pid is read. */
const PIDFD = 40;

const PATH_MAX = 4096;
const SUFFIX = ".new";
const MINUS = "-".charCodeAt(0);
const ZERO = "0".charCodeAt(0);

/** What a walked exec of an engine's depends on. */
export interface WalkedEngineExec extends WalkedExec {
  /** What the engine's file says, to the byte. */
  readonly process: Uint8Array<ArrayBuffer>;
}

/** The program of an engine's exec; until the engine's process runs, whatever fails is left to crate. */
export function compileEngineExecVerb(input: WalkedEngineExec): Program {
  return compileWalked((s, ask) => {
    const { p } = s;
    p.call("fcntl", [PROCESS_FILE, F_SETFD, FD_CLOEXEC], { negative: ask });
    unlessOther(s, input.process, ask);
    const more = openContainer(s, input, ask);
    const paths = readPidFile(s, ask);
    const argv = p.pointers([p.string("crate-exec")], "[crate-exec]");
    const started = startProgram(s, { program: input.program, argv, more });
    const failed = s.label("failed");
    const executed = s.label("executed");
    const process = awaitProcess(s, started, failed).pidfd;
    writePid(s, process, paths, failed);
    letGo(s, started, executed, failed);
    p.place(failed);
    abandon(s, started);
    p.call("unlinkat", [AT_FDCWD, paths.temporary, 0], { negative: NEXT });
    p.jump(ask);

    p.place(executed);
    // It has cloned the process, and ended.
    p.call("waitid", [P_PIDFD, valueOf(started.pidfd), 0, WEXITED, 0], { negative: NEXT });
    p.call("exit_group", [0]);
  });
}

/** Goes on at `ask` when the engine's file says something else. */
function unlessOther(s: Scope, process: Uint8Array<ArrayBuffer>, ask: Label): void {
  const { p } = s;
  const { length } = process;
  const text = p.variable("process", length + 1);
  const size = s.descriptor("its size");
  const [whole, same] = [s.label("of this size"), s.label("the same")];
  p.call("pread64", [PROCESS_FILE, text, length + 1, 0], { result: size, negative: ask });
  p.jumpIfEqual(valueOf(size), length, whole);
  p.jump(ask);
  p.place(whole);
  p.compare(text, p.bytes(process, "the known process"), length, same, ask);
  p.place(same);
}

/** The file for the pid: its path, and that under which it is written. */
interface PidFile {
  readonly path: Cell;
  readonly temporary: Cell;
}

/** Reads the path of the file for the pid among the process's own words. */
function readPidFile(s: Scope, ask: Label): PidFile {
  const { p } = s;
  const path = p.variable("pid file", PATH_MAX);
  const temporary = p.variable("new pid file", PATH_MAX);
  const words = s.descriptor("own words");
  const byte = p.variable("letter", 4);
  const [before, length, left, end] = ["before", "length", "words left", "end"].map((name) =>
    p.variable(name, 4)
  ) as [Cell, Cell, Cell, Cell];
  p.call("openat", [AT_FDCWD, p.string("/proc/self/cmdline"), O_RDONLY | O_CLOEXEC, 0], {
    result: words,
  });
  const count = (cell: Cell) => p.subtract(cell, valueOf(cell), -1);
  const [skip, next, known] = [s.label("skip"), s.label("next letter"), s.label("known")];
  p.set(left, PID_FILE);
  p.place(skip);
  p.call("read", [valueOf(words), byte, 1], { zero: ask });
  count(before);
  p.compute(valueOf(byte), 0, -1, { positive: skip });
  p.compute(valueOf(left), 1, -1, { result: left, positive: skip });
  p.place(next);
  p.call("read", [valueOf(words), byte, 1], { zero: ask });
  p.jumpIfEqual(valueOf(byte), 0, known);
  count(length);
  p.jump(next);
  p.place(known);
  const short = s.label("short enough");
  p.compute(valueOf(length), PATH_MAX - SUFFIX.length - 1, -1, { negative: short, positive: ask });
  p.place(short);
  for (const to of [path, temporary]) {
    p.call("pread64", [valueOf(words), to, PATH_MAX, valueOf(before)]);
  }
  // The suffix comes by a pipe to where the path ends.
  const pipe = p.variable("pipe", 8);
  const size = SUFFIX.length + 1;
  p.subtract(length, 0, valueOf(length));
  p.compute(addressOf(temporary), valueOf(length), -1, { result: end });
  p.call("pipe2", [pipe, O_CLOEXEC]);
  p.call("write", [valueOf(pipe, 4), p.string(SUFFIX), size]);
  p.call("read", [valueOf(pipe), valueOf(end), size]);
  return { path, temporary };
}

/** Writes the process's pid, as `writePidFile`: the digits that the kernel tells of its pidfd. proc(5), fdinfo */
function writePid(s: Scope, process: Cell, { path, temporary }: PidFile, failed: Label): void {
  const { p } = s;
  const file = s.descriptor("pid file");
  const found = s.label("its pid");
  const flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  p.call("openat", [AT_FDCWD, temporary, flags, 0o644], { result: file, negative: failed });
  p.call("dup3", [valueOf(process), PIDFD, O_CLOEXEC], { negative: failed });
  const { read, byte } = readBytes(s, `/proc/self/fdinfo/${PIDFD}`, failed);
  findLine(s, "Pid:\t", { read, byte, found, absent: failed, isBeginning: true });
  p.place(found);
  const [next, all] = [s.label("next digit"), s.label("all digits")];
  read(failed);
  // It has ended, or is not to be seen from here.
  for (const none of [MINUS, ZERO]) p.jumpIfEqual(valueOf(byte), none, failed);
  p.place(next);
  p.call("write", [valueOf(file), byte, 1], { negative: failed });
  read(failed);
  p.jumpIfEqual(valueOf(byte), NEWLINE, all);
  p.jump(next);
  p.place(all);
  p.call("renameat2", [AT_FDCWD, temporary, AT_FDCWD, path, 0], { negative: failed });
}
