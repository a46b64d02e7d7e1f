import {
  clone_args,
  CLONE_VFORK,
  CLONE_VM,
  close,
  CLOSE_RANGE_CLOEXEC,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_RDWR,
  O_TRUNC,
  open,
  P_ALL,
  P_PID,
  placeIn,
  PR_SET_CHILD_SUBREAPER,
  type Program,
  ProgramBuilder,
  readAll,
  SIGCHLD,
  siginfo,
  spawn,
  syscall,
  valueOf,
  WEXITED,
} from "../../ffi/mod.ts";
import type { Sample } from "./statistics.ts";

// Times a command from beside it: a program of crate's own, some kilobytes large, starts the command,
// waits for it and for whatever it leaves running, and tells when each ended and what it used. So no
// runtime's own spawning is measured, no large process is copied, and no rival's parent is crate's Deno.

/** A program and its words. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What the program writes for each process that has ended, getrusage(2) in it. */
const record = { started: 0, ended: 16, info: 32, usage: 160, size: 304 };
/** struct rusage: ru_utime, ru_stime, ru_maxrss (KiB). */
const usage = { user: 0, system: 16, maxRss: 32 };
const CLOCK_MONOTONIC = 1;
const RESULTS = 3;
const NOT_STARTED = 127;
const CLD_EXITED = 1;

/** @param alone what the command leaves running is not waited for. */
function program({ file, args, env }: Command, alone: boolean): Program {
  const p = new ProgramBuilder();
  const cell = p.variable("record", record.size);
  const at = (offset: number) => ({ address: placeIn(cell, offset) });
  const pid = p.variable("pid", 4);
  const clone = p.struct(clone_args, { flags: CLONE_VM | CLONE_VFORK, exit_signal: SIGCHLD });
  const argv = p.pointers([file, ...args].map((word) => p.string(word)), "argv");
  const variables = Object.entries(env).map(([name, value]) => p.string(`${name}=${value}`));
  const child = p.label("child");
  const next = p.label("next");
  const done = p.label("done");
  const failed = p.label("failed");
  p.handler(failed);
  if (!alone) p.call("prctl", [PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0]);
  p.call("clock_gettime", [CLOCK_MONOTONIC, at(record.started)]);
  p.call("clone3", [clone, clone_args.size], { result: pid, zero: child });
  p.call("waitid", [P_PID, valueOf(pid), at(record.info), WEXITED, at(record.usage)]);
  p.place(next);
  p.call("clock_gettime", [CLOCK_MONOTONIC, at(record.ended)]);
  p.call("write", [RESULTS, cell, record.size]);
  if (alone) p.jump(done);
  // What the command left to us, and at the end the error that there is no one any more.
  p.call("waitid", [P_ALL, 0, at(record.info), WEXITED, at(record.usage)], {
    zero: next,
    negative: done,
  });
  p.place(done);
  p.call("exit_group", [0]);
  p.place(child);
  p.call("close_range", [RESULTS, 0xffffffff, CLOSE_RANGE_CLOEXEC]);
  p.call("execve", [p.string(file), argv, p.pointers(variables, "envp")]);
  p.place(failed);
  p.call("exit_group", [NOT_STARTED]);
  return p.build();
}

function toSample(bytes: Uint8Array): Sample & { code: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const number = (offset: number) => Number(view.getBigInt64(offset, true));
  const milliseconds = (offset: number, perMillisecond: number) =>
    number(offset) * 1000 + number(offset + 8) / perMillisecond;
  const started = milliseconds(record.started, 1e6);
  let cpu = 0;
  let system = 0;
  let maxRss = 0;
  for (let at = 0; at < bytes.length; at += record.size) {
    const base = at + record.usage;
    const kernel = milliseconds(base + usage.system, 1e3);
    cpu += milliseconds(base + usage.user, 1e3) + kernel;
    system += kernel;
    maxRss = Math.max(maxRss, number(base + usage.maxRss));
  }
  const info = bytes.subarray(record.info);
  const status = siginfo.get(info, "si_status");
  return {
    code: siginfo.get(info, "si_code") === CLD_EXITED ? status : 128 + status,
    time: milliseconds(record.ended, 1e6) - started,
    cpu,
    system,
    maxRss,
  };
}

/** Runs commands one at a time, their input and output going nowhere. */
export class Timer {
  readonly #null = open("/dev/null", O_RDWR);
  readonly #errors: string;
  readonly #programs = new Map<Command, Program>();

  /** @param directory where the commands' error output is kept, of each the last. */
  constructor(directory: string) {
    this.#errors = `${directory}/stderr`;
  }

  /**
   * Runs a command, and waits for it and all that it leaves running.
   *
   * @param alone only the command: what it leaves is a container that others start.
   * @throws {Error} with what it wrote on stderr when it does not succeed.
   */
  run(command: Command, alone = false): Sample {
    let steps = this.#programs.get(command);
    if (steps === undefined) this.#programs.set(command, steps = program(command, alone));
    const errors = open(this.#errors, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0o600);
    const pipe = new Int32Array(2);
    syscall("pipe2", new Uint8Array(pipe.buffer), O_CLOEXEC);
    const [results, theirs] = pipe as unknown as [number, number];
    let bytes: Uint8Array;
    try {
      const descriptors = [this.#null, this.#null, errors, theirs];
      const pid = spawn(steps, { name: "bench-timer", descriptors });
      close(theirs);
      bytes = readAll(results);
      syscall("waitid", P_PID, pid, null, WEXITED, null);
    } finally {
      close(results);
      close(errors);
    }
    const line = [command.file, ...command.args].join(" ");
    if (bytes.length < record.size) throw new Error(`${line}: it could not be timed`);
    const { code, ...sample } = toSample(bytes);
    if (code === 0) return sample;
    throw new Error(`${line}: exit code ${code}\n${Deno.readTextFileSync(this.#errors).trim()}`);
  }

  /** Closes what it holds. */
  [Symbol.dispose](): void {
    close(this.#null);
  }
}
