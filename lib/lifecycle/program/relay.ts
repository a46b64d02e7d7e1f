import {
  type Cell,
  EAGAIN,
  EINTR,
  EPIPE,
  F_SETFL,
  iovec,
  type Label,
  NEXT,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  placeIn,
  pollfd,
  POLLIN,
  POLLOUT,
  PR_SET_NAME,
  type Program,
  SIG_SETMASK,
  SIGCHLD,
  SIGPIPE,
  SIGWINCH,
  TCSETS,
  TIOCGWINSZ,
  TIOCSWINSZ,
  valueOf,
  winsize,
} from "../../../ffi/mod.ts";
import { exitAs } from "./monitor.ts";
import { type Notification, Readiness } from "./notify.ts";
import { CONTROL, SETUP_FAILED, SIGINFO_SIZE } from "./protocol.ts";
import { Scope } from "./scope.ts";

// What a foreground command becomes once its container runs: a program that forwards signals, copies
// a terminal if there is one, and exits as the container does. The runtime's memory is gone by then.

/** The descriptors of the relay, after the standard three and the control socket. */
export const RELAY_PIDFD = 4;
export const RELAY_CONSOLE = 5;

const BUFFER_SIZE = 4096;
const KILLED = 137;

/** Signals that stay with the relay, as docker's --sig-proxy has them, and job control's. signal(7) */
const KEPT = [
  4, // SIGILL
  5, // SIGTRAP
  7, // SIGBUS
  8, // SIGFPE
  9, // SIGKILL
  11, // SIGSEGV
  SIGPIPE,
  SIGCHLD,
  19, // SIGSTOP
  20, // SIGTSTP
  21, // SIGTTIN
  22, // SIGTTOU
  23, // SIGURG
];

/** A terminal to copy between the user and the container's console. */
export interface RelayTerminal {
  /** The user's settings, put back at the end, and those for meanwhile; termios(3) as TCGETS has it. */
  readonly settings?: { readonly before: Uint8Array; readonly raw: Uint8Array };
  /** Whether standard input goes to the console. */
  readonly input: boolean;
}

/**
 * The relay's program.
 *
 * @param notification between whom the container's readiness goes meanwhile.
 */
export function compileRelay(
  terminal: RelayTerminal | undefined,
  notification?: Notification,
): Program {
  const s = new Scope();
  const { p } = s;
  const broken = p.label("failed");
  p.handler(broken);
  p.call("prctl", [PR_SET_NAME, p.string("crate-run"), 0, 0, 0]);
  const set = new Uint8Array(8).fill(0xff);
  for (const signal of KEPT) set[(signal - 1) >> 3]! &= ~(1 << ((signal - 1) & 7));
  const mask = p.bytes(set, "forwarded signals");
  // An output that nobody reads any more must not end the relay: the terminal would stay raw.
  const blocked = set.slice();
  blocked[(SIGPIPE - 1) >> 3]! |= 1 << ((SIGPIPE - 1) & 7);
  const signals = s.descriptor("signals");
  p.call("rt_sigprocmask", [SIG_SETMASK, p.bytes(blocked, "forwarded signals, SIGPIPE"), 0, 8], {
    label: "block signals",
  });
  p.call("signalfd4", [-1, mask, 8, O_CLOEXEC], { label: "open signals", result: signals });

  const size = pollfd.size;
  const own = terminal === undefined ? 2 : 4;
  const count = notification === undefined ? own : own + 1;
  const initial = new Uint8Array(size * count);
  initial.set(pollfd.pack({ events: POLLIN }), 0);
  initial.set(pollfd.pack({ fd: CONTROL, events: POLLIN }), size);
  if (terminal !== undefined) {
    initial.set(pollfd.pack({ fd: terminal.input ? 0 : -1, events: POLLIN }), 2 * size);
    initial.set(pollfd.pack({ fd: RELAY_CONSOLE, events: POLLIN }), 3 * size);
  }
  if (notification !== undefined) {
    initial.set(pollfd.pack({ fd: notification.from, events: POLLIN }), own * size);
  }
  const readiness = notification && new Readiness(s, notification);
  const polled = p.variable("pollfds", initial.length, initial);
  p.set(placeIn(polled, 0), valueOf(signals));
  const console = terminal && new Console(s, terminal, polled);
  console?.begin();

  const loop = p.label("wait");
  const ended = p.label("ended");
  const signalled = p.label("signal");
  const quiet = s.label("no signal");
  const closed = p.label("output closed");
  p.place(loop);
  p.call("ppoll", [polled, count, 0, 0, 8], { negative: loop });
  p.compute(valueOf(polled, 4), 0, 0x7fff0000, { positive: signalled });
  p.place(quiet);
  if (readiness !== undefined) {
    const message = s.label("message");
    const next = s.label("next");
    p.compute(valueOf(polled, own * size + 4), 0, 0x7fff0000, { positive: message });
    p.place(next);
    s.aside(() => {
      p.place(message);
      readiness.forward(next, next);
    });
  }
  console?.copy(closed);
  p.compute(valueOf(polled, size + 4), 0, 0x7fff0000, { positive: ended, zero: loop });

  const info = p.variable("signal", 128);
  p.place(signalled);
  p.call("read", [valueOf(signals), info, 128], { negative: quiet });
  if (console !== undefined) {
    const forward = s.label("forward");
    const resized = s.label("resized");
    p.jumpIfEqual(valueOf(info), SIGWINCH, resized);
    p.jump(forward);
    p.place(resized);
    console.resize();
    p.jump(quiet);
    p.place(forward);
  }
  p.call("pidfd_send_signal", [RELAY_PIDFD, valueOf(info), 0, 0], {
    negative: quiet,
    zero: quiet,
  });

  p.place(ended);
  const exit = p.variable("exit status", SIGINFO_SIZE);
  const lost = p.label("the monitor is gone");
  p.call("recvfrom", [CONTROL, exit, SIGINFO_SIZE, 0, 0, 0], { zero: lost, negative: lost });
  console?.end();
  exitAs(s, exit);
  p.place(lost);
  console?.end();
  p.call("exit_group", [KILLED]);
  p.place(closed);
  if (console !== undefined) {
    console.end();
    p.call("exit_group", [128 + SIGPIPE]);
  }
  p.place(broken);
  p.call("exit_group", [SETUP_FAILED]);
  s.writeAsides();
  return p.build();
}

/** The steps that concern the terminal. */
class Console {
  readonly #output: Cell;
  readonly #input: Cell;
  readonly #pending: Cell;
  readonly #shown: Cell;
  readonly #size: Cell;

  constructor(
    readonly s: Scope,
    readonly terminal: RelayTerminal,
    readonly polled: Cell,
  ) {
    const { p } = s;
    this.#output = p.variable("output buffer", BUFFER_SIZE);
    this.#input = p.variable("input buffer", BUFFER_SIZE);
    // What the console has not taken yet: { where, how much }, an iovec for writev.
    this.#pending = p.variable("pending input", iovec.size);
    this.#shown = p.variable("pending output", iovec.size);
    this.#size = p.variable("window size", winsize.size);
  }

  begin(): void {
    const { p } = this.s;
    const { settings } = this.terminal;
    p.call("fcntl", [RELAY_CONSOLE, F_SETFL, O_RDWR | O_NONBLOCK], { label: "open the console" });
    if (settings) {
      const raw = p.bytes(settings.raw, "raw");
      p.call("ioctl", [0, TCSETS, raw], { label: "set the terminal to raw mode" });
    }
    this.resize();
  }

  /** The console gets the size of the user's terminal, which may be on any of the three. */
  resize(): void {
    const { s, s: { p } } = this;
    const next = s.label("next");
    const known = s.label("size known");
    p.call("ioctl", [0, TIOCGWINSZ, this.#size], { negative: next, zero: known });
    p.place(next);
    const none = s.label("next");
    p.call("ioctl", [1, TIOCGWINSZ, this.#size], { negative: none });
    p.place(known);
    p.call("ioctl", [RELAY_CONSOLE, TIOCSWINSZ, this.#size], { negative: none });
    p.place(none);
  }

  /**
   * One round of copying, after a poll.
   *
   * @param closed where to go on when nobody reads the output any more.
   */
  copy(closed: Label): void {
    const { s, s: { p }, polled } = this;
    const stdin = 2 * pollfd.size;
    const master = 3 * pollfd.size;
    const events = (at: number) => valueOf(polled, at + 4);
    const input = s.label("input");
    const flush = s.label("flush");
    const output = s.label("output");
    const again = s.label("copied");

    // Output first, so that a container that waits to write can go on to read.
    p.compute(events(master), 0, (POLLIN | 16 | 8) << 16, { positive: output });
    p.place(input);
    p.compute(events(master), 0, POLLOUT << 16, { positive: flush });
    p.compute(events(stdin), 0, 0x7fff0000, { zero: again });
    const eof = s.label("end of input");
    p.call("read", [0, this.#input, BUFFER_SIZE], {
      result: placeIn(this.#pending, 8),
      negative: eof,
      zero: eof,
    });
    this.#startInput();
    p.place(flush);
    this.#flush(again);
    p.place(again);

    s.aside(() => {
      p.place(eof);
      // As docker does: the end of input is the end-of-file character on a terminal.
      p.set(this.#input, 4);
      p.set(placeIn(this.#pending, 8), 1);
      p.set(placeIn(polled, stdin), -1);
      this.#startInput();
      p.jump(flush);
    });
    s.aside(() => {
      const gone = s.label("console closed");
      const count = valueOf(this.#shown, 8);
      p.place(output);
      this.#readOutput(gone);
      this.#show(input, closed);
      p.place(gone);
      p.jumpIfEqual(count, -EAGAIN, input);
      p.jumpIfEqual(count, -EINTR, input);
      // EIO: no process has the terminal open any more; the end comes over the control socket.
      p.set(placeIn(polled, master), -1);
      p.jump(input);
    });
  }

  #startInput(): void {
    const { p } = this.s;
    p.compute({ address: placeIn(this.#input, 0) }, 0, -1, { result: placeIn(this.#pending, 0) });
  }

  #readOutput(gone: Label): void {
    this.s.p.call("read", [RELAY_CONSOLE, this.#output, BUFFER_SIZE], {
      result: placeIn(this.#shown, 8),
      negative: gone,
      zero: gone,
    });
  }

  /** Writes all that was read from the console, waiting where it must; goes on at one of the two. */
  #show(done: Label, closed: Label): void {
    const { s, s: { p } } = this;
    const written = s.descriptor("shown");
    const again = s.label("show");
    const refused = s.label("output refused");
    const wait = s.label("wait for the output");
    p.compute({ address: placeIn(this.#output, 0) }, 0, -1, { result: placeIn(this.#shown, 0) });
    p.place(again);
    p.call("writev", [1, this.#shown, 1], { result: written, negative: refused });
    this.#advance(this.#shown, written, done);
    p.jump(again);
    s.aside(() => {
      const writable = p.variableStruct("output to write", pollfd, { fd: 1, events: POLLOUT });
      p.place(refused);
      p.jumpIfEqual(valueOf(written), -EAGAIN, wait);
      p.jumpIfEqual(valueOf(written), -EINTR, again);
      p.jumpIfEqual(valueOf(written), -EPIPE, closed);
      p.jump(done); // a terminal that is gone: the container is told by SIGHUP
      p.place(wait);
      p.call("ppoll", [writable, 1, 0, 0, 8], { negative: again });
      p.jump(again);
    });
  }

  /** Moves an iovec on by what was written; goes to `whole` when nothing is left. */
  #advance(vector: Cell, written: Cell, whole: Label): void {
    const { s, s: { p } } = this;
    const minus = s.descriptor("minus");
    p.compute(0, valueOf(written), -1, { result: minus, negative: NEXT });
    p.compute(valueOf(vector), valueOf(minus), -1, { result: placeIn(vector, 0) });
    p.compute(valueOf(vector, 8), valueOf(written), -1, {
      result: placeIn(vector, 8),
      zero: whole,
    });
  }

  /** Writes what is pending; while some is left, input waits and the console is polled to write. */
  #flush(done: ReturnType<Scope["label"]>): void {
    const { s, s: { p }, polled } = this;
    const stdin = 2 * pollfd.size;
    const master = 3 * pollfd.size;
    const written = s.descriptor("written");
    const wait = s.label("wait for room");
    const whole = s.label("written");
    p.call("writev", [RELAY_CONSOLE, this.#pending, 1], { result: written, negative: wait });
    this.#advance(this.#pending, written, whole);
    p.place(wait);
    p.set(placeIn(polled, master + 4), POLLIN | POLLOUT);
    p.compute(valueOf(polled, stdin), 0, -1, { negative: done });
    p.set(placeIn(polled, stdin), PAUSED);
    p.jump(done);
    p.place(whole);
    p.set(placeIn(polled, master + 4), POLLIN);
    const ended = s.label("no more input");
    // Paused input goes on; ended input (-1) does not.
    p.jumpIfEqual(valueOf(polled, stdin), PAUSED, ended);
    p.jump(done);
    p.place(ended);
    p.set(placeIn(polled, stdin), 0);
  }

  /** The last output, and the terminal as it was. */
  end(): void {
    const { s, s: { p } } = this;
    const more = s.label("drain");
    const done = s.label("drained");
    p.place(more);
    this.#readOutput(done);
    this.#show(more, done);
    p.place(done);
    const { settings } = this.terminal;
    if (settings) {
      const next = s.label("next");
      const before = p.bytes(settings.before, "as before");
      p.call("ioctl", [0, TCSETS, before], { label: "restore the terminal", negative: next });
      p.place(next);
    }
  }
}

/** In the place of standard input while the console has no room: poll ignores negative ones. */
const PAUSED = -2;
