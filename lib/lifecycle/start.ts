import {
  AF_UNIX,
  arch,
  close,
  ECONNRESET,
  EINTR,
  EPIPE,
  MSG_NOSIGNAL,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  open,
  P_PID,
  pollfd,
  POLLIN,
  type Program,
  siginfo,
  SIGKILL,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  spawn,
  STEP_SIZE,
  stepAddress,
  syscall,
  SyscallError,
  trySyscall,
  WEXITED,
  WNOHANG,
  WNOWAIT,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { startError } from "./errors.ts";
import { identify, openProcess, type ProcessId } from "./process_id.ts";
import { MONITOR_KILLED, RECORD_SIZE } from "./program/mod.ts";
import { waitForEnd } from "./wait.ts";

/** The three descriptors that the user's program starts with. */
export type Stdio = readonly [stdin: number, stdout: number, stderr: number];

/** What the starter does while the init waits for it. @returns what it is told then, a byte when nothing. */
export type AtStage = (
  stage: number,
  next: () => number,
) => Promise<Uint8Array<ArrayBuffer> | undefined>;

/** A program on its way: its init waits for "go on". */
export interface Launched {
  readonly init: ProcessId;
  /** Absent: the init's parent is an engine. */
  readonly monitor?: ProcessId;
  /** Our end of the control socket. */
  readonly control: number;
  /**
   * Lets the init go on, and returns when it has executed the user's program, or is created.
   *
   * @param atStage called when the init waits in the middle, with the stage, and what reads the numbers
   *   that follow it.
   * @param meanwhile called when the init goes on: what takes some time, and need not be done before.
   * @throws {CrateError} naming the step that failed.
   */
  go(atStage?: AtStage, meanwhile?: () => void): Promise<void>;
  /** The last stage that the init has told. */
  state(): number | undefined;
  /** Gives it up: without a starter the container ends. Returns when it has been cleared away. */
  abandon(): Promise<void>;
}

/** What `launch` needs beside the program. */
export interface LaunchOptions {
  readonly name: string;
  readonly stdio: Stdio;
  /** What the program wants to have from 5 on: a v2 group, a container's pidfd. */
  readonly extra?: readonly number[];
  /** Where an unlinked file may stand. */
  readonly directory: string;
  /** The first process only clones the init, and ends. */
  readonly released?: boolean;
  /** The program's ELF file, where it is known already. */
  readonly file?: Uint8Array<ArrayBuffer>;
}

const END = Symbol("end of the report");

/**
 * Starts a program and waits for its init's pid. runtime.md, "Lifecycle"
 *
 * @throws {CrateError} naming the step that failed.
 */
export function launch(program: Program, options: LaunchOptions): Launched {
  const pair = new Int32Array(2);
  const pipe = new Int32Array(2);
  const raw = (array: Int32Array) => new Uint8Array(array.buffer);
  syscall("socketpair", AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, raw(pair));
  const [control, theirControl] = pair as unknown as [number, number];
  let monitorPid: number;
  try {
    syscall("pipe2", raw(pipe), O_CLOEXEC);
  } catch (error) {
    close(control);
    close(theirControl);
    throw error;
  }
  const [report, theirReport] = pipe as unknown as [number, number];
  try {
    const descriptors = [...options.stdio, theirControl, theirReport, ...options.extra ?? []];
    const { name, directory, file } = options;
    monitorPid = spawn(program, { name, descriptors, directory, file });
  } catch (error) {
    close(control);
    close(report);
    throw error;
  } finally {
    close(theirControl);
    close(theirReport);
  }

  let reporting = true;
  const { released = false } = options;
  const next = () => readRecord(report, program);
  let init: ProcessId | undefined;
  let reached: number | undefined;
  const abandon = async () => {
    close(control);
    if (reporting) close(report);
    reporting = false;
    if (!released) reap(monitorPid);
    else if (init !== undefined) await end(init);
  };
  try {
    const pid = reports(report, monitorPid) ? next() : END;
    if (pid === END) throw monitorKilled();
    // Its child by now is the engine's.
    if (released) reap(monitorPid);
    const own: ProcessId = identify(pid) ?? { pid, startTime: 0 };
    init = own;
    const monitor = released
      ? undefined
      : identify(monitorPid) ?? { pid: monitorPid, startTime: 0 };
    const send = (bytes: Uint8Array<ArrayBuffer> = new Uint8Array([1])) => {
      const size = bytes.length;
      const sent = trySyscall("sendto", control, bytes, size, MSG_NOSIGNAL, null, 0);
      // A monitor or init that is gone tells why in the report.
      if (sent < 0 && sent !== -EPIPE && sent !== -ECONNRESET) {
        throw new SyscallError("sendto", -sent);
      }
    };
    const numbers = () => {
      const number = next();
      if (number === END) throw monitorKilled();
      return number;
    };
    const go = async (atStage?: AtStage, meanwhile?: () => void) => {
      send();
      meanwhile?.();
      for (let stage = next(); stage !== END; stage = next()) {
        reached = stage;
        send(await atStage?.(stage, numbers));
      }
      close(report);
      reporting = false;
      if (!released && hasEnded(monitorPid)) killSurvivor(own);
    };
    return { init, monitor, control, go, state: () => reached, abandon };
  } catch (error) {
    close(control);
    close(report);
    reap(monitorPid);
    throw error;
  }
}

/** Ends a process that is not our child. */
async function end(process: ProcessId): Promise<void> {
  const pidfd = openProcess(process);
  if (pidfd === undefined) return;
  trySyscall("pidfd_send_signal", pidfd, SIGKILL, null, 0);
  await waitForEnd(pidfd, 10_000);
  close(pidfd);
}

/** A process that waits; disposing of it ends it. */
export interface Holder extends Disposable {
  readonly pid: number;
  /** The number that it has told. */
  readonly told: number;
}

/** Starts a program of one process, and waits until it says that it is ready. @throws {CrateError} */
export function launchHolder(program: Program, directory: string): Holder {
  const opened = new Set<number>();
  const letGo = (fd: number) => opened.delete(fd) && close(fd);
  const both = (make: (ends: Uint8Array<ArrayBuffer>) => void): [number, number] => {
    const ends = new Int32Array(2);
    make(new Uint8Array(ends.buffer));
    for (const fd of ends) opened.add(fd);
    return [ends[0]!, ends[1]!];
  };
  let pid: number | undefined;
  const end = () => {
    opened.forEach(letGo);
    if (pid !== undefined) reap(pid);
  };
  try {
    const none = nullStdio();
    opened.add(none);
    const kind = SOCK_SEQPACKET | SOCK_CLOEXEC;
    const [, theirs] = both((ends) => syscall("socketpair", AF_UNIX, kind, 0, ends));
    const [report, theirReport] = both((ends) => syscall("pipe2", ends, O_CLOEXEC));
    const descriptors = [none, none, none, theirs, theirReport];
    pid = spawn(program, { name: "crate-holder", descriptors, directory });
    for (const fd of [none, theirs, theirReport]) letGo(fd);
    const told = readRecord(report, program);
    if (told === END) throw monitorKilled();
    letGo(report);
    // What is left is our end of its control socket.
    return { pid, told, [Symbol.dispose]: end };
  } catch (error) {
    end();
    throw error;
  }
}

/** Whether a child has ended; it is not reaped. waitid(2) */
export function hasEnded(pid: number): boolean {
  const info = new Uint8Array(128);
  const flags = WEXITED | WNOHANG | WNOWAIT;
  return trySyscall("waitid", P_PID, pid, info, flags, null) === 0 &&
    siginfo.get(info, "si_pid") === pid;
}

/**
 * An init dies with its monitor, but for one that lost it while it was being set up: before it had
 * asked for that. Nobody would log, record or clear away for it.
 *
 * @throws {CrateError} when it was still alive.
 */
export function killSurvivor(init: ProcessId): void {
  const pidfd = openProcess(init);
  if (pidfd === undefined) return;
  trySyscall("pidfd_send_signal", pidfd, SIGKILL, null, 0);
  close(pidfd);
  throw monitorKilled();
}

function monitorKilled(): CrateError {
  return new CrateError("START", MONITOR_KILLED);
}

/**
 * Waits for a program's first record. A monitor that is killed between its clone and that record leaves
 * an init that keeps the report open and waits for us as we would for it.
 *
 * @returns whether there is something to read: a record, or the end.
 */
function reports(report: number, monitorPid: number): boolean {
  const monitor = syscall("pidfd_open", monitorPid, 0);
  const { size } = pollfd;
  const polled = new Uint8Array(2 * size);
  // In this order: the kernel looks at one after the other, and who has ended meanwhile has reported before.
  polled.set(pollfd.pack({ fd: monitor, events: POLLIN }), 0);
  polled.set(pollfd.pack({ fd: report, events: POLLIN }), size);
  try {
    let result: number;
    do result = trySyscall("ppoll", polled, 2, null, null, 8); while (result === -EINTR);
    if (result < 0) throw new SyscallError("ppoll", -result, "the report");
  } finally {
    close(monitor);
  }
  return pollfd.get(polled.subarray(size), "revents") !== 0;
}

/** Waits for a monitor that is about to end. */
export function reap(pid: number): void {
  while (trySyscall("waitid", P_PID, pid, null, WEXITED, null) === -EINTR);
}

/** One record of the report: the init's pid, or the end. @throws {CrateError} for a failure. */
function readRecord(report: number, program: Program): number | typeof END {
  const bytes = new Uint8Array(RECORD_SIZE);
  let count: number;
  do count = trySyscall("read", report, bytes, RECORD_SIZE); while (count === -EINTR);
  if (count < 0) throw new SyscallError("read", -count, "the report");
  if (count < RECORD_SIZE) return END;
  const view = new DataView(bytes.buffer);
  const failed = Number(view.getBigUint64(0, true));
  const result = Number(view.getBigInt64(8, true));
  if (failed === 0) return result;
  // A failure is named by the address of its step.
  const step = program.steps[(failed - stepAddress(0, arch)) / STEP_SIZE];
  throw startError(step?.label ?? "an unknown step", -result);
}

/** Descriptors for a process that has no one to talk to. */
export function nullStdio(): number {
  return open("/dev/null", O_RDWR);
}

/** A directory's descriptor. */
export function openDirectory(path: string): number {
  return open(path, O_RDONLY | O_DIRECTORY);
}
