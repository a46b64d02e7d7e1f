import {
  type Cell,
  cmsg_fd,
  type Label,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  O_CLOEXEC,
  O_NONBLOCK,
  placeIn,
  pollfd,
  POLLIN,
  PR_SET_NAME,
  type Program,
  SIG_SETMASK,
  timespec,
  valueOf,
} from "../../../ffi/mod.ts";
import { descriptorMessage } from "./console.ts";
import { findLine } from "./lines.ts";
import { SETUP_FAILED } from "./protocol.ts";
import { Scope } from "./scope.ts";

// A container tells that it is ready on a socket of its own, and the service manager that called crate is told of
// that, and of the container's first process, which is the service's from then on. sd_notify(3)

/** The descriptors of the program that waits for it. */
export const NOTIFY_FROM = 3;
export const NOTIFY_PIDFD = 4;
export const NOTIFY_TO = 5;

/** The most of a message that is looked at. */
const MESSAGE_SIZE = 4096;
const READY = "READY=1";
const BARRIER = "BARRIER=1";
/** How long the service manager may take to have read it all, seconds. */
const BARRIER_PATIENCE = 30;

/** Between whom a container's readiness goes. */
export interface Notification {
  /** The descriptor of the container's socket, and of one that is connected to the service manager's. */
  readonly from: number;
  readonly to: number;
  /** The container's first process, as the service manager sees it. */
  readonly pid: number;
}

/** The steps for one message of the container's. */
export class Readiness {
  readonly #pipe: Cell;
  readonly #told: Cell;

  /** Writes the steps that come once. */
  constructor(readonly s: Scope, readonly notification: Notification) {
    this.#pipe = s.p.variable("message's pipe", 8);
    this.#told = s.p.variable("told", 4);
    s.p.call("pipe2", [this.#pipe, O_CLOEXEC | O_NONBLOCK], { label: "make a pipe for messages" });
  }

  /**
   * Reads a message, and passes it on when one of its lines says that the container is ready, the first time. A
   * descriptor that comes with it is closed: so sd_notify_barrier(3) has it.
   *
   * A program cannot look into the middle of what it has read: the message goes through a pipe, byte by byte.
   *
   * @param ready where to go on then, @param next otherwise.
   */
  forward(ready: Label, next: Label): void {
    const { s, s: { p }, notification: { from, to, pid } } = this;
    const message = p.variable("message", MESSAGE_SIZE);
    const length = s.descriptor("message's length");
    const byte = p.variable("byte of a message", 4);
    const found = s.label("ready");
    const read = (end: Label) =>
      p.call("read", [valueOf(this.#pipe), byte, 1], { negative: end, zero: end });
    p.call("recvfrom", [from, message, MESSAGE_SIZE, MSG_DONTWAIT, 0, 0], {
      result: length,
      negative: next,
      zero: next,
    });
    p.call("write", [valueOf(this.#pipe, 4), message, valueOf(length)], { negative: next });
    findLine(s, READY, { read, byte, found, absent: next });
    p.place(found);
    p.jumpIfEqual(valueOf(this.#told), 1, next);
    p.set(this.#told, 1);
    const text = p.string(`${READY}\nMAINPID=${pid}\n`);
    p.call("sendto", [to, text, text.size - 1, MSG_NOSIGNAL, 0, 0], { negative: ready });
    p.jump(ready);
  }
}

/**
 * The program of a process that waits until the container is ready, or has ended, and tells the service manager.
 * It ends when that has read it: whose message it is, it finds by the sender.
 */
export function compileNotifier(pid: number): Program {
  const s = new Scope();
  const { p } = s;
  const broken = p.label("failed");
  p.handler(broken);
  p.call("prctl", [PR_SET_NAME, p.string("crate-notify"), 0, 0, 0]);
  const none = p.bytes(new Uint8Array(8), "{}");
  p.call("rt_sigprocmask", [SIG_SETMASK, none, 0, 8], { label: "unblock signals" });
  const readiness = new Readiness(s, { from: NOTIFY_FROM, to: NOTIFY_TO, pid });
  const size = pollfd.size;
  const initial = new Uint8Array(2 * size);
  // In this order: the kernel looks at one after the other, and who has ended meanwhile has spoken before.
  initial.set(pollfd.pack({ fd: NOTIFY_PIDFD, events: POLLIN }), 0);
  initial.set(pollfd.pack({ fd: NOTIFY_FROM, events: POLLIN }), size);
  const polled = p.variable("pollfds", initial.length, initial);
  const wait = p.label("wait");
  const message = p.label("message");
  const ready = p.label("ready");
  const over = p.label("over");
  p.place(wait);
  p.call("ppoll", [polled, 2, 0, 0, 8], { negative: wait });
  p.compute(valueOf(polled, size + 4), 0, 0x7fff0000, { positive: message });
  p.compute(valueOf(polled, 4), 0, 0x7fff0000, { positive: over, zero: wait });
  p.place(message);
  readiness.forward(ready, wait);
  p.place(ready);
  barrier(s, over);
  p.place(over);
  p.call("exit_group", [0]);
  p.place(broken);
  p.call("exit_group", [SETUP_FAILED]);
  s.writeAsides();
  return p.build();
}

/** Waits until the service manager has read what it was sent: it closes the descriptor then. sd_notify_barrier(3) */
function barrier(s: Scope, over: Label): void {
  const { p } = s;
  const ends = p.variable("barrier", 8);
  p.call("pipe2", [ends, O_CLOEXEC], { label: "make a barrier" });
  const length = s.descriptor("barrier's length");
  p.set(length, BARRIER.length);
  const content = p.variable(
    "barrier's text",
    16,
    new TextEncoder().encode(BARRIER.padEnd(16, "\0")),
  );
  const { message, control } = descriptorMessage(s, { content, length });
  p.set(placeIn(control, cmsg_fd.offset("fd")), valueOf(ends, 4));
  p.call("sendmsg", [NOTIFY_TO, message, MSG_NOSIGNAL], { negative: over });
  p.call("close", [valueOf(ends, 4)]);
  const polled = p.variableStruct("end of the barrier", pollfd, { events: POLLIN });
  p.set(placeIn(polled, 0), valueOf(ends));
  const patience = p.variableStruct("patience", timespec, { tv_sec: BARRIER_PATIENCE });
  p.call("ppoll", [polled, 1, patience, 0, 8], { negative: over });
}
