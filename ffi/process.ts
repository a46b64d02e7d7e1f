import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  CLONE_PARENT_SETTID,
  CLONE_VFORK,
  CLONE_VM,
  CLOSE_RANGE_CLOEXEC,
  F_ADD_SEALS,
  F_DUPFD_CLOEXEC,
  F_SEAL_ALL,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  O_CLOEXEC,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  P_PID,
  SIG_SETMASK,
  SIGCHLD,
  WEXITED,
} from "./constants.ts";
import { EINVAL, SyscallError } from "./errno.ts";
import { close, writeAll } from "./files.ts";
import { arch, runProgram, syscall, trySyscall } from "./libc.ts";
import {
  type Argument,
  type Cell,
  type Label,
  NEXT,
  placeIn,
  type Program,
  ProgramBuilder,
  valueOf,
} from "./program/builder.ts";
import { encodeElf } from "./program/encode.ts";
import { clone_args } from "./structs.ts";

// Processes from programs: `spawn` starts one, `become` turns this process into one.

/** All but the last two: 63 is `blockSignals`' own, and may be on its way to another thread. */
const SIGNALS = 62;

/** What a process made from a program starts with. */
export interface ProcessOptions {
  /** `argv[0]`, what `ps` shows. */
  name: string;
  /** Our descriptor for its 0, 1, 2, … ; every other one is closed. */
  descriptors: readonly number[];
  /** Where an unlinked file may stand if the host forbids executable memfds. */
  directory?: string;
  /** The program's ELF file, where it is known already. */
  file?: Uint8Array<ArrayBuffer>;
}

/** What a program starts with that this process becomes. */
export interface BecomeOptions extends ProcessOptions {
  /**
   * The program begins with SIGCHLD ignored, so that nobody has to wait for its children. One of them
   * gives this process's memory back to the kernel while the program runs.
   */
  ignoresChildren?: boolean;
}

/** A sealed executable in memory, as a descriptor. @throws {SyscallError} */
function executable(
  program: Program,
  { directory = "/tmp", file: bytes = encodeElf(program, arch).bytes }: ProcessOptions,
): number {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  let fd = trySyscall("memfd_create", "crate", flags | MFD_EXEC);
  // Before Linux 6.3 there is no MFD_EXEC, and every memfd can be executed.
  if (fd === -EINVAL) fd = trySyscall("memfd_create", "crate", flags);
  const sealed = fd >= 0;
  // vm.memfd_noexec=2 forbids it: an unlinked file, reopened so that nobody has it open to write.
  if (!sealed) {
    const open = O_RDWR | O_TMPFILE | O_CLOEXEC;
    fd = syscall("openat", AT_FDCWD, directory, open, 0o500);
  }
  try {
    writeAll(fd, bytes);
    if (sealed) {
      syscall("fcntl", fd, F_ADD_SEALS, F_SEAL_ALL);
      return fd;
    }
    const readable = syscall("openat", AT_FDCWD, `/proc/self/fd/${fd}`, O_RDONLY | O_CLOEXEC);
    close(fd);
    return readable;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Steps that set every disposition back to its default: Deno ignores SIGPIPE, and a parent may ignore more. */
export function resetDispositions(p: ProgramBuilder): void {
  const signal = p.variable("signal", 4);
  const action = p.bytes(new Uint8Array(32), "SIG_DFL");
  const again = p.label("next signal");
  const skip = p.label("skip");
  p.set(signal, SIGNALS);
  p.place(again);
  p.call("rt_sigaction", [valueOf(signal), action, 0, 8], { negative: skip }); // not KILL, not STOP
  p.place(skip);
  p.compute(valueOf(signal), 1, -1, { result: signal, positive: again });
}

/** The steps that ignore a signal, or no longer do. */
export function setDisposition(
  p: ProgramBuilder,
  handler: "SIG_DFL" | "SIG_IGN",
  signal: number,
): void {
  // struct sigaction of the kernel: the handler is its first field.
  const action = p.bytes(new Uint8Array(32).fill(Number(handler === "SIG_IGN"), 0, 1), handler);
  p.call("rt_sigaction", [signal, action, 0, 8], { negative: NEXT });
}

/** A program's file, and what its process is given. */
export interface Entrance {
  readonly file: Argument;
  /** What is its 0, 1, 2, … ; every other one is closed. */
  readonly descriptors: readonly Argument[];
  readonly argv: Argument;
  /** The signals that are blocked when the program begins. */
  readonly mask: Cell;
  /** Where a failing step goes on; absent: at the program's handler. */
  readonly failed?: Label;
}

/** The steps that make this process ready and execute a program's file. */
export function enter(
  p: ProgramBuilder,
  { file, descriptors, argv, mask, failed: negative }: Entrance,
): void {
  // First a copy of each that is neither a place nor a source, then the copies to their places.
  const above = descriptors.length;
  const copy = (from: Argument, label: string): Cell => {
    const to = p.variable(label, 4);
    p.call("fcntl", [from, F_DUPFD_CLOEXEC, above], { label, result: to, negative });
    return to;
  };
  const copies = descriptors.map((from, i) =>
    copy(from, `copy descriptor ${typeof from === "number" ? from : i}`)
  );
  const program = copy(file, "copy the program");
  copies.forEach((from, i) => {
    p.call("dup3", [valueOf(from), i, 0], { label: `place descriptor ${i}`, negative });
  });
  p.call("close_range", [above, 0xffffffff, CLOSE_RANGE_CLOEXEC], {
    label: "close other descriptors",
    negative,
  });
  p.call("rt_sigprocmask", [SIG_SETMASK, mask, 0, 8], { label: "set the signal mask", negative });
  const envp = p.pointers([], "[]");
  p.call("execveat", [valueOf(program), p.string(""), argv, envp, AT_EMPTY_PATH], {
    label: "start the program",
    negative,
  });
}

/** What a process made from a program is executed with. */
function entrance(
  p: ProgramBuilder,
  file: number,
  { name, descriptors }: ProcessOptions,
  mask: Cell,
): Entrance {
  return { file, descriptors, argv: p.pointers([p.string(name)], `[${name}]`), mask };
}

function failure(program: Program, run: { bytes(cell: Cell): Uint8Array<ArrayBuffer> }) {
  const header = run.bytes({ kind: "variable", name: "header", offset: 0, size: 32 });
  const view = new DataView(header.buffer);
  const errno = -Number(view.getBigInt64(8, true));
  if (errno === 0) return undefined;
  const failed = view.getBigUint64(0, true);
  const step = program.steps.find((_, i) => i === stepIndex(program, view, failed));
  return new SyscallError(step?.label ?? "start a program", errno);
}

function stepIndex(program: Program, header: DataView, failed: bigint): number {
  const handler = Number(header.getBigUint64(16, true));
  return program.handler!.index - Math.round((handler - Number(failed)) / 80);
}

/**
 * Starts a process that walks a program.
 *
 * The child shares this process's memory until it executes (clone(2), `CLONE_VFORK`), so that nothing
 * is copied however large the runtime is.
 *
 * @returns its pid.
 * @throws {SyscallError}
 */
export function spawn(program: Program, options: ProcessOptions): number {
  const fd = executable(program, options);
  try {
    const p = new ProgramBuilder();
    const pid = p.variable("pid", 4);
    const old = p.variable("old mask", 8);
    const child = p.label("child");
    const back = p.label("back");
    const broken = p.label("broken");
    const all = p.bytes(new Uint8Array(8).fill(0xff), "all");
    p.handler(broken);
    // No signal handler of the runtime may run in the child.
    p.call("rt_sigprocmask", [SIG_SETMASK, all, old, 8]);
    const args = p.struct(clone_args, { flags: CLONE_VM | CLONE_VFORK, exit_signal: SIGCHLD });
    p.call("clone3", [args, clone_args.size], { result: pid, zero: child, negative: back });
    p.place(back);
    p.call("rt_sigprocmask", [SIG_SETMASK, old, 0, 8]);
    p.return();
    p.place(child);
    resetDispositions(p);
    enter(p, entrance(p, fd, options, p.bytes(new Uint8Array(8), "{}")));
    p.place(broken);
    p.call("exit_group", [127]);
    const starter = p.build();
    const run = runProgram(starter);
    const started = run.value(pid);
    if (started < 0) throw new SyscallError("clone3", -started);
    const error = failure(starter, run);
    if (error !== undefined) {
      trySyscall("waitid", 1, started, null, 4, null);
      throw error;
    }
    return started;
  } finally {
    close(fd);
  }
}

/**
 * The steps that leave this process's memory to another one, which gives it back to the kernel when this process has
 * let go of it: that takes longer than ending or executing a file does, and nobody has to wait for it.
 *
 * The other one has nothing else of this process, and no stack: no step of a program needs one.
 *
 * Every signal is blocked: a handler would run in both.
 *
 * @returns the pipe whose end tells that this process has let go, by execve(2) or by its end; the other one's pid.
 */
function leaveMemory(p: ProgramBuilder): { ends: Cell; keeper: Cell } {
  const ends = p.variable("ends", 8, new Uint8Array(8).fill(0xff));
  const byte = p.variable("byte", 4);
  // A step's result would be written by both.
  const pid = p.variable("keeper's pid", 4);
  const keeper = p.label("keeper of the memory");
  const alone = p.label("alone");
  p.call("pipe2", [ends, O_CLOEXEC], { negative: alone });
  const args = p.variableStruct("clone_args", clone_args, {
    flags: CLONE_VM | CLONE_PARENT_SETTID,
    exit_signal: SIGCHLD,
  });
  p.pointer(placeIn(args, clone_args.offset("parent_tid")), pid);
  p.call("clone3", [args, clone_args.size], { zero: keeper, negative: alone, positive: alone });
  p.place(keeper);
  p.call("dup3", [valueOf(ends), 0, 0], { negative: NEXT });
  p.call("close_range", [1, 0xffffffff, 0], { negative: NEXT });
  p.call("chdir", [p.string("/")], { negative: NEXT });
  p.call("read", [0, byte, 1], { negative: NEXT });
  p.call("exit_group", [0], { negative: NEXT });
  p.place(alone);
  return { ends, keeper: pid };
}

/**
 * Turns this process into one that walks a program: same pid, same children, none of the runtime's
 * memory. Must be called on the main thread. Returns only by throwing.
 *
 * The program begins with all signals blocked; after `blockSignals` those that come meanwhile
 * wait for it.
 *
 * @throws {SyscallError}
 */
export function become(program: Program, options: BecomeOptions): never {
  const fd = executable(program, options);
  const p = new ProgramBuilder();
  const broken = p.label("broken");
  p.handler(broken);
  const all = p.bytes(new Uint8Array(8).fill(0xff), "all");
  const old = p.variable("old mask", 8);
  p.call("rt_sigprocmask", [SIG_SETMASK, all, old, 8]);
  const kept = options.ignoresChildren ? leaveMemory(p) : undefined;
  resetDispositions(p);
  // The kernel reaps it then, however soon it ends.
  if (kept !== undefined) setDisposition(p, "SIG_IGN", SIGCHLD);
  enter(p, entrance(p, fd, options, all));
  p.place(broken);
  if (kept !== undefined) {
    const { ends, keeper } = kept;
    for (const end of [0, 4]) p.call("close", [valueOf(ends, end)], { negative: NEXT });
    // It walks this program: until it has ended, no other one may stand in its place.
    p.call("waitid", [P_PID, valueOf(keeper), 0, WEXITED, 0], { negative: NEXT });
    setDisposition(p, "SIG_DFL", SIGCHLD);
  }
  p.call("rt_sigprocmask", [SIG_SETMASK, old, 0, 8], { negative: NEXT });
  p.return();
  const steps = p.build();
  throw failure(steps, runProgram(steps)) ?? new Error("the process did not become the program");
}

/**
 * Ends this process at once, as `_exit(2)` does: nothing of the runtime's is asked or told. Its memory is given back
 * by another process, which is its parent's subreaper's then: for those who have one that reaps, as engines do.
 */
export function end(code: number): never {
  const p = new ProgramBuilder();
  const all = p.bytes(new Uint8Array(8).fill(0xff), "all");
  p.call("rt_sigprocmask", [SIG_SETMASK, all, 0, 8], { negative: NEXT });
  leaveMemory(p);
  p.call("exit_group", [code], { negative: NEXT });
  p.return();
  runProgram(p.build());
  throw new Error("the process did not end");
}
