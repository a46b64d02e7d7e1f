import {
  close,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDWR,
  open,
  syscall,
  TCGETS,
  TIOCGWINSZ,
  TIOCSPTLCK,
  TIOCSWINSZ,
  trySyscall,
  winsize,
} from "../../ffi/mod.ts";
import { type Result, Running } from "./running.ts";
import { delay, type Sandbox, until } from "./sandbox.ts";

/** asm-generic/ioctls.h */
const TIOCGPTN = 0x80045430;
const TERMIOS_SIZE = 36;

const encoder = new TextEncoder();

/** A real terminal, as a terminal emulator has one: the master of a pseudo-terminal. pty(7) */
export class Terminal implements Disposable {
  readonly #master: number;
  /** The terminal itself. */
  readonly path: string;
  readonly #decoder = new TextDecoder();
  /** All that has appeared on it. */
  screen = "";

  constructor(rows = 24, columns = 80) {
    this.#master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
    syscall("ioctl", this.#master, TIOCSPTLCK, new Uint8Array(4));
    const number = new Uint8Array(4);
    syscall("ioctl", this.#master, TIOCGPTN, number);
    this.path = `/dev/pts/${new DataView(number.buffer).getUint32(0, true)}`;
    this.resize(rows, columns);
  }

  /** Starts crate as {@linkcode Terminal.startProgram} does. */
  start(box: Sandbox, words: readonly string[], env: Record<string, string> = {}): Running {
    const line = box.commandLine(words);
    return this.startProgram(line.words, { ...line.env, ...env });
  }

  /** Starts a program as the leader of a session on this terminal, which is all three descriptors. */
  startProgram(words: readonly string[], env: Record<string, string>): Running {
    const script = 'tty=$0; exec setsid --ctty "$@" <>"$tty" >&0 2>&1';
    return new Running(["sh", "-c", script, this.path, ...words], { env });
  }

  /** Waits until a started command has ended, reading all that it writes. */
  async ended(running: Running): Promise<Result> {
    let result: Result | undefined;
    running.ended.then((ended) => result = ended);
    while (result === undefined) {
      this.read();
      await delay(5);
    }
    this.read();
    return result;
  }

  /** Takes what has been written. */
  read(): void {
    const buffer = new Uint8Array(65536);
    for (;;) {
      const count = trySyscall("read", this.#master, buffer, buffer.length);
      if (count <= 0) return; // nothing now, or nobody has the terminal open
      this.screen += this.#decoder.decode(buffer.subarray(0, count), { stream: true });
    }
  }

  /** Waits until a text is on the screen. */
  async shows(text: string): Promise<void> {
    try {
      await until(`${text} on the screen`, () => {
        this.read();
        return this.screen.includes(text);
      });
    } catch (error) {
      throw new Error(`the screen shows ${JSON.stringify(this.screen)}`, { cause: error });
    }
  }

  /** Types on the keyboard: as much as the terminal takes at once. @returns how much that is. */
  type(text: string): number {
    const bytes = encoder.encode(text);
    return Math.max(0, trySyscall("write", this.#master, bytes, bytes.length));
  }

  /** Types a long text, as fast as it is read; ASCII only. */
  async typeAll(text: string): Promise<void> {
    for (let at = 0; at < text.length;) {
      const count = this.type(text.slice(at));
      if (count === 0) await delay(1);
      at += count;
      this.read();
    }
  }

  /** Changes the window's size; whoever runs in it is told by SIGWINCH. */
  resize(rows: number, columns: number): void {
    const size = winsize.pack({ ws_row: rows, ws_col: columns });
    syscall("ioctl", this.#master, TIOCSWINSZ, size);
  }

  /** Rows and columns. */
  size(): [number, number] {
    const size = new Uint8Array(winsize.size);
    syscall("ioctl", this.#master, TIOCGWINSZ, size);
    return [winsize.get(size, "ws_row"), winsize.get(size, "ws_col")];
  }

  /** Its settings, as bytes to compare. */
  settings(): string {
    const settings = new Uint8Array(TERMIOS_SIZE);
    syscall("ioctl", this.#master, TCGETS, settings);
    return settings.toHex();
  }

  /** Hangs up. */
  [Symbol.dispose](): void {
    close(this.#master);
  }
}
