import {
  type Cell,
  clone_args,
  CLONE_INTO_CGROUP,
  O_CLOEXEC,
  placeIn,
  PR_SET_NAME,
  SIG_SETMASK,
  SIGCHLD,
  SOCK_CLOEXEC,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Preserved } from "./input.ts";
import { failureHandler } from "./monitor.ts";
import {
  CONTROL,
  RECORD_SIZE,
  REPORT,
  SETUP_FAILED,
  STAGE_COPY,
  STAGE_CREATED,
} from "./protocol.ts";
import type { Scope } from "./scope.ts";

// What an engine calls crate for: a process whose parent is the engine, and none of crate's beside it.

/** Everything that `release` depends on. */
export interface ReleaseOptions {
  /** What `ps` shows of it, for the moment that it is there. */
  readonly name: string;
  /** The `CLONE_NEW…` flags of the process. */
  readonly namespaces: number;
  /** The descriptor of the v2 group that it is cloned into. */
  readonly cgroup?: number;
  /** Writes steps that come right before the clone. */
  before?(): void;
}

/**
 * The steps of a process that clones another and ends: what it has cloned becomes the child of the
 * nearest subreaper above crate, an engine's shim or monitor. prctl(2), PR_SET_CHILD_SUBREAPER
 *
 * @param cloned writes the steps of the cloned process; they end in execve or exit.
 */
export function release(s: Scope, options: ReleaseOptions, cloned: () => void): void {
  const { p } = s;
  failureHandler(s);
  const all = p.bytes(new Uint8Array(8).fill(0xff), "all");
  p.call("prctl", [PR_SET_NAME, p.string(options.name), 0, 0, 0]);
  p.call("rt_sigprocmask", [SIG_SETMASK, all, 0, 8], { label: "block signals" });
  const record = p.variable("init's pid", RECORD_SIZE);
  const args = p.struct(clone_args, {
    flags: options.namespaces + (options.cgroup === undefined ? 0 : CLONE_INTO_CGROUP),
    exit_signal: SIGCHLD,
    cgroup: options.cgroup ?? 0,
  });
  options.before?.();
  const child = p.label("cloned");
  p.call("clone3", [args, clone_args.size], {
    label: "clone the container's init",
    result: placeIn(record, 8),
    zero: child,
  });
  p.call("write", [REPORT, record, RECORD_SIZE], { label: "tell the init's pid" });
  p.call("exit_group", [0]);
  s.aside(() => {
    p.place(child);
    cloned();
  });
}

/** Waits for a byte of the starter's; ends when the starter is gone. */
export function awaitByte(s: Scope, label: string): void {
  const { p } = s;
  const byte = p.variable("go on", 1);
  const gone = s.label("starter gone");
  p.call("read", [CONTROL, byte, 1], { label, zero: gone });
  s.aside(() => {
    p.place(gone);
    p.call("exit_group", [SETUP_FAILED]);
  });
}

/** Tells that a stage is reached, and waits. */
export function awaitStage(s: Scope, stage: number, label: string): void {
  const record = new Uint8Array(RECORD_SIZE);
  record[8] = stage;
  s.p.call("write", [REPORT, s.p.bytes(record, `{0, ${stage}}`), RECORD_SIZE], { label });
  awaitByte(s, label);
}

/** Has the starter copy one directory into another, by descriptors of this process. */
export function awaitCopy(s: Scope, from: Cell, to: Cell, label: string): void {
  const { p } = s;
  const record = p.variable("copy", RECORD_SIZE);
  for (const value of [STAGE_COPY, valueOf(from), valueOf(to)]) {
    p.set(placeIn(record, 8), value);
    p.call("write", [REPORT, record, RECORD_SIZE], { label });
  }
  awaitByte(s, label);
}

/**
 * Waits until `start` connects to the container's socket and sends a byte. From then on that connection
 * is where a failure is reported, and its end tells that the user's program has been executed.
 *
 * @param socket the descriptor of the listening socket; the descriptors to hand on come after it.
 * @param listener the one right before those.
 */
export function awaitStart(
  s: Scope,
  socket: number,
  { first, count }: Preserved,
  listener: number | undefined,
): void {
  const { p } = s;
  awaitStage(s, STAGE_CREATED, "be created");
  // It may wait for long: nothing of the host's stays open, and the end of the report tells that it waits.
  p.call("close_range", [CONTROL, socket - 1, 0]);
  const kept = listener ?? first;
  if (kept > socket + 1) p.call("close_range", [socket + 1, kept - 1, 0]);
  p.call("close_range", [first + count, 0xffffffff, 0]);
  const none = p.bytes(new Uint8Array(8), "{}");
  // A signal for a container that has not been started is for this process.
  p.call("rt_sigprocmask", [SIG_SETMASK, none, 0, 8], { label: "unblock signals" });
  const connection: Cell = s.descriptor("starter");
  const byte = p.variable("start", 1);
  const wait = s.label("wait for the start");
  const lost = s.label("starter lost");
  const label = "wait for the start";
  p.place(wait);
  p.call("accept4", [socket, 0, 0, SOCK_CLOEXEC], { label, result: connection });
  p.call("read", [valueOf(connection), byte, 1], { label, zero: lost, negative: lost });
  s.aside(() => {
    // It only looked, or was killed: there may be another.
    p.place(lost);
    p.call("close", [valueOf(connection)]);
    p.jump(wait);
  });
  p.call("dup3", [valueOf(connection), REPORT, O_CLOEXEC], { label });
  p.call("close", [valueOf(connection)]);
  p.call("close", [socket]);
}
