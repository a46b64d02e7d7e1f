import {
  addressOf,
  AT_FDCWD,
  AT_REMOVEDIR,
  type Cell,
  CLD_EXITED,
  CLOCK_REALTIME,
  clone_args,
  CLONE_INTO_CGROUP,
  CLONE_PIDFD,
  EBUSY,
  ENOENT,
  EPIPE,
  type Label,
  MSG_NOSIGNAL,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_PATH,
  O_TRUNC,
  O_WRONLY,
  P_PIDFD,
  placeIn,
  pollfd,
  POLLIN,
  PR_SET_NAME,
  SIG_SETMASK,
  SIGCHLD,
  siginfo,
  SIGKILL,
  timespec,
  valueOf,
  WEXITED,
} from "../../../ffi/mod.ts";
import type { MonitorOptions } from "./input.ts";
import { killGroup } from "./kill_group.ts";
import { leaveNetworks } from "./leave.ts";
import { consoleStream, type LogStream, openLog, openLogFile, writeLog } from "./log.ts";
import {
  CONTROL,
  EXIT_RECORD_SIZE,
  RECORD_SIZE,
  REPORT,
  SETUP_FAILED,
  SIGINFO_SIZE,
} from "./protocol.ts";
import type { Scope } from "./scope.ts";

// The process beside a container: it clones the init, holds its log, learns of its end, records it,
// tells whoever waits, and clears away. A program of some tens of kilobytes.

/** How often, a millisecond apart, a control group that is still busy is tried again. */
const CGROUP_RETRIES = 2000;

/** What `supervise` hands to the steps of the init. */
export interface Output {
  /** A pipe's two ends: the reading one tells when no other process has the writing one, which is the monitor's end. */
  readonly life: Cell;
  /** For a detached container: what becomes its standard output and error. */
  readonly streams: readonly LogStream[];
  /** Where the init sends its console's master, if not to the starter. */
  readonly console?: Cell;
}

/** How a console reaches the monitor of a detached container; see console.ts. */
export interface ConsoleHandover {
  pair(s: Scope): { mine: Cell; theirs: Cell };
  take(s: Scope, pair: { mine: Cell; theirs: Cell }): Cell;
}

/** What `watch` depends on. */
export interface WatchOptions extends MonitorOptions {
  /** The last of the descriptors that the program was started with, but for those of networks. */
  readonly lastDescriptor?: number;
}

/** Everything that `supervise` depends on. */
export interface SuperviseOptions extends MonitorOptions {
  /** What `ps` shows. */
  readonly name: string;
  /** The `CLONE_NEW…` flags of the init. */
  readonly namespaces: number;
  /** The last of the descriptors that the program was started with. */
  readonly lastDescriptor: number;
  /** The descriptor of the v2 group that the init is cloned into. */
  readonly cgroup?: number;
  readonly console?: ConsoleHandover;
  /** Writes steps that come right before the clone. */
  before?(): void;
  /** Writes the monitor's steps after it, that let go of what was for the init. */
  after?(): void;
}

/** Steps that every failing step goes to: the report, and the end. */
export function failureHandler(s: Scope): Label {
  const { p } = s;
  const handler = p.label("failed");
  p.handler(handler);
  s.aside(() => {
    const next = p.label("next");
    p.place(handler);
    p.call("write", [valueOf(s.report), addressOf(p.header), RECORD_SIZE], {
      label: "report",
      negative: next,
    });
    p.place(next);
    p.call("exit_group", [SETUP_FAILED]);
  });
  return handler;
}

/**
 * The monitor's steps, and in the middle of them the init's.
 *
 * @param init writes the steps of the cloned process; they end in execve or exit.
 */
export function supervise(
  s: Scope,
  options: SuperviseOptions,
  init: (output: Output) => void,
): void {
  const { p } = s;
  failureHandler(s);
  const all = p.bytes(new Uint8Array(8).fill(0xff), "all");
  p.call("prctl", [PR_SET_NAME, p.string(options.name), 0, 0, 0]);
  p.call("rt_sigprocmask", [SIG_SETMASK, all, 0, 8], { label: "block signals" });
  p.call("chdir", [p.string("/")], { label: "keep no directory busy" });
  if (options.detached) p.call("setsid", [], { label: "leave the session" });
  const { log, console } = options;
  const pair = console?.pair(s);
  let streams = log === undefined || pair !== undefined ? [] : openLog(s, log);
  // Before the clone: afterwards a failure could be told to nobody.
  const consoleLog = log === undefined || pair === undefined ? undefined : openLogFile(s, log);

  const exitFile = options.exitFile === undefined ? undefined : reserve(s, options.exitFile);
  const life = p.variable("monitor's life", 8);
  p.call("pipe2", [life, O_CLOEXEC], { label: "watch the monitor" });
  const pidfd = s.descriptor("init pidfd");
  const record = p.variable("init's pid", RECORD_SIZE);
  const args = p.variableStruct("clone_args", clone_args, {
    flags: options.namespaces + CLONE_PIDFD +
      (options.cgroup === undefined ? 0 : CLONE_INTO_CGROUP),
    exit_signal: SIGCHLD,
    cgroup: options.cgroup ?? 0,
  });
  p.pointer(placeIn(args, clone_args.offset("pidfd")), pidfd);
  options.before?.();
  const child = p.label("init");
  const outputs = streams;
  p.call("clone3", [args, clone_args.size], {
    label: "clone the container's init",
    result: placeIn(record, 8),
    zero: child,
  });
  s.aside(() => {
    p.place(child);
    init({ life, streams: outputs, console: pair?.theirs });
  });

  const told = s.label("told");
  const untold = s.label("untold");
  const sent = s.descriptor("write's result");
  const label = "tell the init's pid";
  p.call("write", [REPORT, record, RECORD_SIZE], { label, result: sent, negative: untold });
  p.place(told);
  s.aside(() => {
    p.place(untold);
    // An init that failed first has told so, and the starter has gone: it is still to be reaped.
    p.jumpIfEqual(valueOf(sent), -EPIPE, told);
    s.fail(label, sent);
  });
  p.call("close_range", [0, 2, 0]);
  for (const { writeEnd } of streams) p.call("close", [valueOf(writeEnd)]);
  p.call("close", [valueOf(life)]);
  options.after?.();
  if (pair !== undefined && consoleLog !== undefined) {
    streams = [consoleStream(s, consoleLog, console!.take(s, pair))];
  }
  // From here on there is nobody to tell a failure to.
  p.call("close_range", [REPORT, options.lastDescriptor, 0]);
  watch(s, options, { pidfd, streams, exitFile });
}

/** What the monitor holds of a running container. */
export interface Watched {
  readonly pidfd: Cell;
  readonly streams: readonly LogStream[];
  /** The file for its exit status. */
  readonly exitFile?: ExitFile;
}

/** A file that gets its name when it is written: its directory is held, which may be renamed meanwhile. */
export interface ExitFile {
  readonly directory: Cell;
  readonly fd: Cell;
  readonly name: string;
}

/** Waits for the init's end, logging meanwhile, and for the starter's. Nothing comes after it. */
export function watch(s: Scope, options: WatchOptions, watched: Watched): void {
  const { p } = s;
  const { pidfd, streams } = watched;
  const count = 2 + streams.length;
  const size = pollfd.size;
  const initial = new Uint8Array(size * count);
  initial.set(pollfd.pack({ events: POLLIN }), 0);
  initial.set(pollfd.pack({ fd: CONTROL }), size); // a hang-up is always told
  streams.forEach((_, i) => initial.set(pollfd.pack({ events: POLLIN }), size * (2 + i)));
  const polled = p.variable("pollfds", initial.length, initial);
  p.set(placeIn(polled, 0), valueOf(pidfd));
  streams.forEach(({ readEnd }, i) => p.set(placeIn(polled, size * (2 + i)), valueOf(readEnd)));

  // events and revents are one 32-bit word here, revents its upper half.
  const revents = (i: number) => valueOf(polled, size * i + 4);
  const loop = p.label("wait");
  const ended = p.label("ended");
  const hungUp = p.label("starter gone");
  p.place(loop);
  p.call("ppoll", [polled, count, 0, 0, 8], { negative: loop });
  streams.forEach((stream, i) => {
    const next = s.label("next");
    p.compute(revents(2 + i), 0, 0x7fff0000, { zero: next });
    writeLog(s, stream, { end: placeIn(polled, size * (2 + i)), retry: next });
    p.place(next);
  });
  p.compute(revents(0), 0, 0x7fff0000, { positive: ended });
  p.compute(revents(1), 0, 0x7fff0000, { positive: hungUp, zero: loop });

  p.place(hungUp);
  p.set(placeIn(polled, size), -1);
  if (!options.detached) {
    // Nobody is left for whom the container runs.
    const next = s.label("next");
    p.call("pidfd_send_signal", [valueOf(pidfd), SIGKILL, 0, 0], { negative: next });
    p.place(next);
  }
  p.jump(loop);

  p.place(ended);
  conclude(s, options, watched);
}

/** Makes the exit record's file with its full size: a disk that is full later has room for it. */
export function reserve(s: Scope, exitFile: string): ExitFile {
  const { p } = s;
  const slash = exitFile.lastIndexOf("/");
  const name = exitFile.slice(slash + 1);
  const directory = s.descriptor("state directory");
  const fd = s.descriptor("exit file");
  const label = "make room for the exit status";
  const place = p.string(exitFile.slice(0, slash));
  const from = [AT_FDCWD, place, O_PATH | O_DIRECTORY | O_CLOEXEC, 0];
  p.call("openat", from, { label, result: directory });
  const flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  const at = [valueOf(directory), p.string(`${name}.new`), flags, 0o644];
  p.call("openat", at, { label, result: fd });
  const empty = p.bytes(new Uint8Array(EXIT_RECORD_SIZE), "zeros");
  p.call("write", [valueOf(fd), empty, EXIT_RECORD_SIZE], { label });
  return { directory, fd, name };
}

/** The container has ended: what it still wrote, its status, its name, its groups. */
function conclude(
  s: Scope,
  options: WatchOptions,
  { pidfd, streams, exitFile }: Watched,
): void {
  const { p } = s;
  const ignore = (write: (next: Label) => void) => {
    const next = s.label("next");
    write(next);
    p.place(next);
  };
  if (options.killGroup !== undefined) killGroup(s, options.killGroup);
  // What is in the pipes now; a process that was handed their ends may hold them for ever.
  for (const stream of streams) {
    const done = s.label("drained");
    const more = s.label("drain");
    p.place(more);
    writeLog(s, stream, { end: undefined, retry: done });
    p.jump(more);
    p.place(done);
  }
  const info = p.variable("exit status", 128);
  const time = p.variable("exit time", timespec.size);
  p.call("waitid", [P_PIDFD, valueOf(pidfd), info, WEXITED, 0], { label: "wait for the init" });
  ignore((next) => p.call("clock_gettime", [CLOCK_REALTIME, time], { negative: next }));
  if (exitFile !== undefined) {
    const { directory, fd, name } = exitFile;
    ignore((next) => {
      const note = { label: "record the exit status", negative: next };
      p.call("lseek", [valueOf(fd), 0, 0], note);
      // { siginfo, timespec } lie together in the exit record
      p.call("write", [valueOf(fd), info, SIGINFO_SIZE], note);
      p.call("write", [valueOf(fd), time, EXIT_RECORD_SIZE - SIGINFO_SIZE], note);
      const at = valueOf(directory);
      p.call("renameat2", [at, p.string(`${name}.new`), at, p.string(name), 0], note);
    });
  }
  if (options.network !== undefined) {
    leaveNetworks(s, options.network, (options.lastDescriptor ?? REPORT) + 1);
  }
  const { retire } = options;
  if (retire !== undefined) {
    ignore((next) =>
      p.call("renameat2", [AT_FDCWD, p.string(retire[0]), AT_FDCWD, p.string(retire[1]), 0], {
        label: "free the container's name",
        negative: next,
      })
    );
  }
  ignore((next) =>
    p.call("sendto", [CONTROL, info, SIGINFO_SIZE, MSG_NOSIGNAL, 0, 0], {
      label: "tell the exit status",
      negative: next,
    })
  );
  // A group that stays keeps the container's record, by which the next command finds it.
  const kept = s.label("kept");
  for (const directory of options.cgroupDirectories) removeGroup(s, directory, kept);
  for (const file of options.removeFiles) {
    ignore((next) => p.call("unlinkat", [AT_FDCWD, p.string(file), 0], { negative: next }));
  }
  for (const directory of options.removeDirectories) {
    ignore((next) =>
      p.call("unlinkat", [AT_FDCWD, p.string(directory), AT_REMOVEDIR], { negative: next })
    );
  }
  p.place(kept);
  exitAs(s, info);
}

/** Exits as the init did: its code, or 128 + the signal. */
export function exitAs(s: Scope, info: Cell): void {
  const { p } = s;
  const byCode = s.label("exited");
  const status = siginfo.offset("si_status");
  p.jumpIfEqual(valueOf(info, siginfo.offset("si_code")), CLD_EXITED, byCode);
  p.compute(valueOf(info, status), -128, -1, { result: placeIn(info, status) });
  p.place(byCode);
  p.call("exit_group", [valueOf(info, status)]);
}

/** rmdir of a group, again while its last processes are on their way out; on to `kept` if it stays. */
function removeGroup(s: Scope, directory: string, kept: Label): void {
  const { p } = s;
  const left = p.variable("tries", 4);
  const pause = p.bytes(timespec.pack({ tv_nsec: 1_000_000 }), "1 ms");
  const again = s.label("again");
  const busy = s.label("busy");
  const next = s.label("next");
  const result = s.descriptor("rmdir's result");
  p.set(left, CGROUP_RETRIES);
  p.place(again);
  p.call("unlinkat", [AT_FDCWD, p.string(directory), AT_REMOVEDIR], { result, negative: busy });
  p.place(next);
  s.aside(() => {
    p.place(busy);
    const wait = s.label("wait");
    p.jumpIfEqual(valueOf(result), -EBUSY, wait);
    p.jumpIfEqual(valueOf(result), -ENOENT, next);
    p.jump(kept);
    p.place(wait);
    p.call("nanosleep", [pause, 0]);
    p.compute(valueOf(left), 1, -1, { result: left, positive: again, zero: kept, negative: kept });
  });
}
