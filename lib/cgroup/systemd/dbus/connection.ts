import {
  AF_UNIX,
  close,
  decodeText,
  EAGAIN,
  EINTR,
  encodeText,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  pollfd,
  POLLIN,
  POLLOUT,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  syscall,
  SyscallError,
  timespec,
  trySyscall,
  withAddress,
} from "../../../../ffi/mod.ts";
import { CrateError } from "../../../errors.ts";
import { decodeMessage, encodeMessage, type Message, messageSize, PREFIX_SIZE } from "./message.ts";
import { malformed } from "./signature.ts";
import type { Value } from "./value.ts";

/** How long a peer may take for the next byte of an answer. */
const PATIENCE = 25_000;
/** What the conversation before the first message may be long at most. */
const MAX_GREETING = 4096;

/** The error that a call was answered with. */
export class CallError extends CrateError {
  constructor(
    /** Such as `org.freedesktop.systemd1.NoSuchUnit`. */
    readonly error: string,
    readonly text: string,
    member: string,
  ) {
    const isDenied = /AccessDenied|InteractiveAuthorizationRequired$/.test(error);
    super(isDenied ? "PERMISSION" : "FAILED", `systemd refuses ${member}: ${text || error}`);
  }
}

/** A call of a method. */
export interface Call {
  readonly destination?: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly Value[];
}

/** A conversation over a socket; disposing of it ends it. What it waits for, this thread waits for. */
export class Connection implements Disposable {
  readonly #fd: number;
  readonly #patience: number;
  #serial = 0;
  #received = new Uint8Array(0);
  /** Signals that came while an answer was waited for. */
  #signals: Message[] = [];

  private constructor(fd: number, patience: number) {
    this.#fd = fd;
    this.#patience = patience;
  }

  /**
   * Connects and tells who this process is: the kernel vouches for it. dbus-specification, "EXTERNAL"
   *
   * @param patience how long the peer may take for an answer, milliseconds.
   * @throws {SyscallError} when nobody listens there.
   * @throws {CrateError} `PERMISSION`, `FAILED`.
   */
  static open(path: string, patience = PATIENCE): Connection {
    const fd = syscall("socket", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const connection = new Connection(fd, patience);
    try {
      withAddress(path, (address) => syscall("connect", fd, address, address.length));
      connection.#authenticate();
      return connection;
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }

  /**
   * Calls a method and waits for its answer.
   *
   * @throws {CallError} when that is an error.
   * @throws {CrateError} `FAILED` when none comes.
   */
  call(call: Call): readonly Value[] {
    const serial = ++this.#serial;
    this.#send(encodeMessage({ ...call, type: "call", serial, body: call.body ?? [] }));
    for (const end = performance.now() + this.#patience;;) {
      const message = this.#receive(end, call.member);
      if (message.type === "signal") this.#signals.push(message);
      else if (message.replyTo === serial) {
        if (message.type === "return") return message.body;
        const [text] = message.body;
        throw new CallError(message.error ?? "", typeof text === "string" ? text : "", call.member);
      }
    }
  }

  /**
   * Waits for a signal, that may have come already.
   *
   * @returns undefined when it has not come in so many milliseconds.
   * @throws {CrateError} `FAILED` when the peer has gone.
   */
  signal(matches: (signal: Message) => boolean, milliseconds: number): Message | undefined {
    for (const end = performance.now() + milliseconds;;) {
      const found = this.#signals.find(matches);
      this.#signals = [];
      if (found !== undefined) return found;
      if (!this.#hasMessage() && !this.#isReady(POLLIN, end)) return undefined;
      const message = this.#receive(performance.now() + this.#patience, "a signal");
      if (message.type === "signal") this.#signals.push(message);
    }
  }

  #authenticate(): void {
    // Without a name: as whom the kernel says that this process is, in the peer's user namespace. All at
    // once, as systemd's own programs do: a call that it reads together with BEGIN it leaves lying.
    this.#send(encodeText("\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"));
    const end = performance.now() + this.#patience;
    for (;;) {
      const line = this.#line(end);
      if (line.startsWith("OK")) return;
      if (line.startsWith("DATA")) continue;
      throw new CrateError("PERMISSION", `systemd does not take this user: ${line}`);
    }
  }

  #line(end: number): string {
    for (;;) {
      const text = decodeText(this.#received);
      const length = text.indexOf("\r\n");
      if (length >= 0) {
        this.#received = this.#received.slice(length + 2);
        return text.slice(0, length);
      }
      if (this.#received.length > MAX_GREETING) throw malformed("the peer speaks no D-Bus");
      this.#fill(end, "a greeting");
    }
  }

  #hasMessage(): boolean {
    const { length } = this.#received;
    return length >= PREFIX_SIZE && length >= messageSize(this.#received);
  }

  #receive(end: number, what: string): Message {
    while (!this.#hasMessage()) this.#fill(end, what);
    const size = messageSize(this.#received);
    const message = decodeMessage(this.#received.slice(0, size));
    this.#received = this.#received.slice(size);
    return message;
  }

  /** Waits for more bytes. */
  #fill(end: number, what: string): void {
    if (!this.#isReady(POLLIN, end)) {
      throw new CrateError("FAILED", `systemd does not answer ${what}: nothing came in time`);
    }
    const bytes = new Uint8Array(65536);
    const count = trySyscall("recvfrom", this.#fd, bytes, bytes.length, MSG_DONTWAIT, null, 0);
    if (count === -EINTR || count === -EAGAIN) return;
    if (count <= 0) throw gone(what, count);
    const all = new Uint8Array(this.#received.length + count);
    all.set(this.#received);
    all.set(bytes.subarray(0, count), this.#received.length);
    this.#received = all;
  }

  #send(bytes: Uint8Array<ArrayBuffer>): void {
    const end = performance.now() + this.#patience;
    for (let at = 0; at < bytes.length;) {
      const rest = bytes.slice(at);
      const flags = MSG_NOSIGNAL | MSG_DONTWAIT;
      const count = trySyscall("sendto", this.#fd, rest, rest.length, flags, null, 0);
      if (count > 0) at += count;
      else if (count === -EAGAIN && !this.#isReady(POLLOUT, end)) {
        throw new CrateError("FAILED", "systemd does not read what it is asked");
      } else if (count !== -EINTR && count !== -EAGAIN) throw gone("a call", count);
    }
  }

  #isReady(events: number, end: number): boolean {
    const polled = pollfd.pack({ fd: this.#fd, events });
    for (;;) {
      const left = Math.max(0, end - performance.now());
      const time = timespec.pack({
        tv_sec: Math.floor(left / 1000),
        tv_nsec: Math.floor(left % 1000 * 1e6),
      });
      const result = trySyscall("ppoll", polled, 1, time, null, 8);
      if (result >= 0) return result > 0;
      if (result !== -EINTR) throw new SyscallError("ppoll", -result);
    }
  }
}

function gone(what: string, result: number): CrateError {
  const why = result === 0
    ? "the connection was closed"
    : new SyscallError("recvfrom", -result).code;
  return new CrateError("FAILED", `systemd does not answer ${what}: ${why}`);
}
