import {
  type Cell,
  EAGAIN,
  EINTR,
  EPIPE,
  F_SETFL,
  iovec,
  type Label,
  NEXT,
  O_NONBLOCK,
  O_RDWR,
  placeIn,
  pollfd,
  POLLIN,
  POLLOUT,
  TCSETS,
  TIOCGWINSZ,
  TIOCSWINSZ,
  valueOf,
  winsize,
} from "../../../ffi/mod.ts";
import { RELAY_CONSOLE } from "./relay.ts";
import type { Scope } from "./scope.ts";

// The part of a relay that copies a terminal.

const BUFFER_SIZE = 4096;
/** In the place of standard input while the console has no room: poll ignores negative ones. */
const PAUSED = -2;

/** A terminal to copy between the user and the container's console. */
export interface RelayTerminal {
  /** The user's settings, put back at the end, and those for meanwhile; termios(3) as TCGETS has it. */
  readonly settings?: { readonly before: Uint8Array; readonly raw: Uint8Array };
  /** Whether standard input goes to the console. */
  readonly input: boolean;
}

/** The steps that concern the terminal. */
export class RelayConsole {
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
