import {
  close,
  EAGAIN,
  EINTR,
  EMSGSIZE,
  ENOBUFS,
  ENODEV,
  ENOENT,
  ESRCH,
  Layout,
  MSG_DONTWAIT,
  SOCK_CLOEXEC,
  syscall,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import {
  AF_NETLINK,
  MSG_TRUNC,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NETLINK_ROUTE,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_NOOP,
  NLMSG_OVERRUN,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RCVTIMEO,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_RAW,
  SOL_NETLINK,
} from "./constants.ts";
import { NetlinkError } from "./errors.ts";
import {
  type Acknowledgement,
  decodeDone,
  decodeError,
  decodeMessages,
  encodeMessages,
  type Message,
  messageSize,
  type Request,
} from "./message.ts";
import { inNamespace } from "./namespace.ts";

const SOL_SOCKET = 1;
/** What the kernel puts into one datagram of a dump at most, NLMSG_GOODSIZE and 32 KiB; more comes for one large message alone. */
const DUMP_SIZE = 32 << 10;
/** An acknowledgement has the kernel's sentence at most. */
const ANSWER_SIZE = 4096;
const MAX_SIZE = 1 << 19;
/** Their acknowledgements fit the receive buffer that any process has. */
const REQUESTS_AT_ONCE = 64;
const BYTES_AT_ONCE = 64 << 10;
const RECEIVE_BUFFER = 4 << 20;
/** The kernel answers before a send returns: a socket that waits any longer would wait for ever. */
const PATIENCE_SECONDS = 10;
const ATTEMPTS = 20;

/** Not there, in the words of the several subsystems. */
const ABSENT: readonly number[] = [ENOENT, ENODEV, ESRCH];

/** A list changed while it was made, or some of it was lost. */
const AGAIN = Symbol("again");
/** A datagram did not fit where it should go. */
const LOST = Symbol("lost");
/** There is none. */
const EMPTY = Symbol("empty");

/** Which network a socket is of. */
export interface SocketOptions {
  /** A descriptor of a network namespace; this process's own when left out. */
  readonly namespace?: number;
}

/**
 * A conversation with the kernel, netlink(7): requests go out, and for each an answer comes back.
 *
 * All calls are synchronous: the kernel answers before it returns from a send. What is not an answer to this
 * conversation, or not from the kernel, is skipped.
 *
 * @example
 * ```ts ignore
 * import { NetlinkSocket } from "./socket.ts";
 * using socket = NetlinkSocket.open(NETLINK_ROUTE);
 * socket.execute([addLink({ name: "br0", kind: "bridge", up: true })]);
 * ```
 */
export class NetlinkSocket implements Disposable {
  #fd: number;
  #sequence = 0;
  #sendBuffer = 0;
  /** Grown when a message is larger. */
  #dumpBuffer: Uint8Array<ArrayBuffer> | undefined;
  #answerBuffer = new Uint8Array(ANSWER_SIZE);
  readonly #from = new Uint8Array(12);
  readonly #fromSize = new Uint8Array(4);

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Opens a socket in this process's network namespace or in another one.
   *
   * @param protocol `NETLINK_ROUTE`, `NETLINK_NETFILTER`.
   * @throws {NetlinkError} when the namespace cannot be entered, {SyscallError} when there can be no socket.
   */
  static open(protocol: number, { namespace }: SocketOptions = {}): NetlinkSocket {
    const make = () => syscall("socket", AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    const fd = namespace === undefined ? make() : inNamespace(namespace, make);
    try {
      setNumber(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
      setNumber(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
      if (protocol === NETLINK_ROUTE) setNumber(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
      // Beyond the limit of other processes with CAP_NET_ADMIN on the host, up to it without.
      if (trySetNumber(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER) < 0) {
        setNumber(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
      }
      const timeval = new Layout("timeval", { tv_sec: "i64", tv_usec: "i64" });
      const patience = timeval.pack({ tv_sec: PATIENCE_SECONDS });
      syscall("setsockopt", fd, SOL_SOCKET, SO_RCVTIMEO, patience, patience.length);
      return new NetlinkSocket(fd);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) close(this.#fd);
    this.#fd = -1;
  }

  /**
   * Sends all requests in one call (more than 64, or 64 KiB, in several), and reads what becomes of each. The kernel does
   * them in order; one that fails undoes none before it, and those after it in the same call are done.
   *
   * @throws {NetlinkError} the first failure's. All answers have been read: the socket can be used on.
   */
  execute(requests: readonly Request[]): void {
    let failure: NetlinkError | undefined;
    for (const group of groups(requests)) {
      const first = this.#next(group.length);
      this.send(encodeMessages(group.map(({ type, flags, body }, index) => ({
        type,
        flags: flags | NLM_F_REQUEST | NLM_F_ACK,
        sequence: first + index,
        body,
      }))));
      for (let done = 0; done < group.length;) {
        for (const message of this.#answers(group[done]!.label)) {
          const index = message.sequence - first;
          if (message.type !== NLMSG_ERROR || index < done || index >= group.length) continue;
          done = index + 1;
          failure ??= failureOf(group[index]!.label, decodeError(message));
        }
      }
      if (failure !== undefined) throw failure;
    }
  }

  /**
   * All objects that a request asks for. A list that changed while the kernel made it is asked for again.
   *
   * @throws {NetlinkError} when the kernel refuses; `EINTR` when the list never stayed the same. {CrateError} `FAILED` for
   * a malformed answer.
   */
  dump<T>(request: Request, decode: (message: Message) => T | undefined): T[] {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = this.#dumpOnce(request, decode);
      if (found !== AGAIN) return found;
    }
    throw new NetlinkError(request.label, EINTR, { text: "it changes faster than it can be read" });
  }

  #dumpOnce<T>(
    { label, type, flags, body }: Request,
    decode: (message: Message) => T | undefined,
  ): T[] | typeof AGAIN {
    const sequence = this.#next(1);
    this.send(
      encodeMessages([{ type, flags: flags | NLM_F_REQUEST | NLM_F_DUMP, sequence, body }]),
    );
    const found: T[] = [];
    let again = false;
    let broken: unknown;
    for (;;) {
      const datagram = this.#receive(label, "dump");
      if (datagram === LOST) {
        // It goes on to its end: the kernel makes one list for a socket at a time.
        again = true;
        continue;
      }
      for (const message of decodeMessages(datagram)) {
        if (message.sequence !== sequence) continue;
        if (message.flags & NLM_F_DUMP_INTR) again = true;
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          const done = message.type === NLMSG_DONE ? decodeDone(message) : decodeError(message);
          const failure = failureOf(label, done);
          if (failure?.errno === EINTR || failure?.errno === EAGAIN) return AGAIN;
          if (failure !== undefined) throw failure;
          if (broken !== undefined) throw broken;
          return again ? AGAIN : found;
        }
        if (message.type <= NLMSG_OVERRUN || broken !== undefined) continue;
        try {
          const value = decode(message);
          if (value !== undefined) found.push(value);
        } catch (error) {
          broken = error;
        }
      }
    }
  }

  /**
   * The one object that a request asks for.
   *
   * @returns undefined when there is none (`ENOENT`, `ENODEV`, `ESRCH`).
   * @throws {NetlinkError} when the kernel refuses, {CrateError} `FAILED` for a malformed answer.
   */
  get<T>({ label, type, flags, body }: Request, decode: (message: Message) => T): T | undefined {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const sequence = this.#next(1);
      this.send(encodeMessages([{ type, flags: flags | NLM_F_REQUEST, sequence, body }]));
      for (;;) {
        const datagram = this.#receive(label, "dump");
        if (datagram === LOST) break;
        const answer = decodeMessages(datagram).find((message) =>
          message.sequence === sequence && message.type !== NLMSG_NOOP
        );
        if (answer === undefined) continue;
        if (answer.type !== NLMSG_ERROR) return decode(answer);
        const failure = failureOf(label, decodeError(answer));
        if (failure === undefined || ABSENT.includes(failure.errno)) return undefined;
        throw failure;
      }
    }
    throw lostAnswer(label);
  }

  /** Sends bytes that are messages already, in one datagram. @throws {NetlinkError} {CrateError} `INVALID` when too large */
  send(bytes: Uint8Array, label = "send to the kernel"): void {
    if (bytes.length > MAX_SIZE) throw tooLarge(label, bytes.length);
    this.#growSendBuffer(bytes.length);
    for (;;) {
      const sent = trySyscall("sendto", this.#fd, bytes, bytes.length, 0, null, 0);
      if (sent >= 0) return;
      if (sent === -EMSGSIZE) throw tooLarge(label, bytes.length);
      if (sent !== -EINTR) throw new NetlinkError(label, -sent);
    }
  }

  /** Reserves numbers for messages. @returns the first. */
  reserve(count: number): number {
    return this.#next(count);
  }

  /**
   * The answers that are there already; none is waited for.
   *
   * @throws {NetlinkError} `ENOBUFS` when some are lost and none that came is an error.
   */
  drain(label: string): Message[] {
    const found: Message[] = [];
    let lost = false;
    for (;;) {
      const datagram = this.#tryReceive(label, "answer", MSG_DONTWAIT);
      if (datagram === EMPTY) break;
      if (datagram === LOST) lost = true;
      else found.push(...decodeMessages(datagram));
    }
    if (lost && found.length === 0) throw lostAnswer(label);
    return found;
  }

  /** The next messages from the kernel. */
  #answers(label: string): Message[] {
    const datagram = this.#receive(label, "answer");
    if (datagram !== LOST) return decodeMessages(datagram);
    this.drain(label);
    throw lostAnswer(label);
  }

  /** The next datagram from the kernel, waited for. */
  #receive(label: string, size: "dump" | "answer"): Uint8Array<ArrayBuffer> | typeof LOST {
    const datagram = this.#tryReceive(label, size, 0);
    if (datagram !== EMPTY) return datagram;
    throw new CrateError("FAILED", `${label}: no answer in ${PATIENCE_SECONDS} s`);
  }

  #tryReceive(
    label: string,
    size: "dump" | "answer",
    flags: number,
  ): Uint8Array<ArrayBuffer> | typeof LOST | typeof EMPTY {
    const buffer = size === "answer"
      ? this.#answerBuffer
      : this.#dumpBuffer ??= new Uint8Array(DUMP_SIZE);
    for (;;) {
      new DataView(this.#fromSize.buffer).setUint32(0, this.#from.length, true);
      const count = trySyscall(
        "recvfrom",
        this.#fd,
        buffer,
        buffer.length,
        flags | MSG_TRUNC,
        this.#from,
        this.#fromSize,
      );
      if (count === -EINTR) continue;
      if (count === -ENOBUFS) return LOST;
      if (count === -EAGAIN) return EMPTY;
      if (count < 0) throw new SyscallError("recvfrom", -count);
      // Anybody may send to a socket's port: the kernel's own is 0.
      if (new DataView(this.#from.buffer).getUint32(4, true) !== 0) continue;
      if (count <= buffer.length) return buffer.slice(0, count);
      if (count > MAX_SIZE) throw tooLarge(`${label}: an answer`, count);
      if (size === "answer") this.#answerBuffer = new Uint8Array(count);
      else this.#dumpBuffer = new Uint8Array(count);
      return LOST;
    }
  }

  #next(count: number): number {
    if (this.#sequence + count > 0xffffffff) this.#sequence = 0;
    const first = this.#sequence + 1;
    this.#sequence += count;
    return first;
  }

  /** A datagram must fit the send buffer, with what the kernel keeps of it besides. */
  #growSendBuffer(size: number): void {
    const wanted = 2 * size;
    if (size < BYTES_AT_ONCE + 4096 || wanted <= this.#sendBuffer) return;
    if (trySetNumber(this.#fd, SOL_SOCKET, SO_SNDBUFFORCE, wanted) < 0) {
      setNumber(this.#fd, SOL_SOCKET, SO_SNDBUF, wanted);
    }
    this.#sendBuffer = wanted;
  }
}

/** The error that an acknowledgement is, if it is one. */
export function failureOf(label: string, answer: Acknowledgement): NetlinkError | undefined {
  return answer.errno === 0 ? undefined : new NetlinkError(label, answer.errno, answer);
}

function lostAnswer(label: string): NetlinkError {
  return new NetlinkError(label, ENOBUFS, { text: "the kernel's answer is lost" });
}

function tooLarge(label: string, size: number): CrateError {
  return new CrateError("INVALID", `${label}: ${size} bytes are too many for one datagram`);
}

/** Requests in groups that are sane to send at once. */
function groups(requests: readonly Request[]): Request[][] {
  const all: Request[][] = [];
  let bytes = 0;
  for (const request of requests) {
    const size = messageSize(request.body);
    const last = all.at(-1);
    if (last === undefined || last.length === REQUESTS_AT_ONCE || bytes + size > BYTES_AT_ONCE) {
      all.push([request]);
      bytes = size;
    } else {
      last.push(request);
      bytes += size;
    }
  }
  return all;
}

function trySetNumber(fd: number, level: number, option: number, value: number): number {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return trySyscall("setsockopt", fd, level, option, bytes, bytes.length);
}

function setNumber(fd: number, level: number, option: number, value: number): void {
  const result = trySetNumber(fd, level, option, value);
  if (result < 0) throw new SyscallError("setsockopt", -result);
}
