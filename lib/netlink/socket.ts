import { EAGAIN, EINTR, ENOBUFS, ENODEV, ENOENT, ESRCH } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import {
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_OVERRUN,
} from "./constants.ts";
import { type Datagrams, EMPTY, KernelDatagrams, LOST } from "./datagrams.ts";
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

/** Their acknowledgements fit the receive buffer that any process has. */
const REQUESTS_AT_ONCE = 64;
/** Bytes. */
const SENT_AT_ONCE = 64 << 10;
/** For what changes, or is lost, while it is read. */
const ATTEMPTS = 20;
/** Not there, in the words of the several subsystems. */
const ABSENT: readonly number[] = [ENOENT, ENODEV, ESRCH];
/** A list that must be asked for again. */
const AGAIN = Symbol("again");

/** Which network a socket is of. */
export interface SocketOptions {
  /** A descriptor of a network namespace; this process's own when left out. */
  readonly namespace?: number;
  /** An open socket of the protocol in place of a new one; it is the conversation's own from now on. */
  readonly socket?: number;
}

/** What came back at once. */
export interface Answers {
  readonly messages: readonly Message[];
  /** Some had no room. */
  readonly lost: boolean;
}

/**
 * A conversation with the kernel, netlink(7): requests go out, and for each an answer comes back.
 *
 * All calls are synchronous: the kernel answers before it returns from a send. What is not an answer to the request at
 * hand is skipped.
 *
 * @example
 * ```ts
 * import { NETLINK_ROUTE } from "./constants.ts";
 * import { decodeLink, dumpLinks } from "./route/mod.ts";
 * import { NetlinkSocket } from "./socket.ts";
 * using socket = NetlinkSocket.open(NETLINK_ROUTE);
 * const links = socket.dump(dumpLinks(), decodeLink);
 * if (links[0]?.name !== "lo") throw new Error();
 * ```
 */
export class NetlinkSocket implements Disposable {
  readonly #datagrams: Datagrams;
  #sequence = 0;

  /** A conversation over anything that carries its messages: {@linkcode open} has the kernel's own. */
  constructor(datagrams: Datagrams) {
    this.#datagrams = datagrams;
  }

  /**
   * Opens a socket in this process's network namespace or in another one.
   *
   * @param protocol `NETLINK_ROUTE`, `NETLINK_NETFILTER`.
   * @throws {NetlinkError} when the namespace cannot be entered, {SyscallError} when there can be no socket.
   */
  static open(protocol: number, options: SocketOptions = {}): NetlinkSocket {
    return new NetlinkSocket(new KernelDatagrams(protocol, options));
  }

  [Symbol.dispose](): void {
    this.#datagrams[Symbol.dispose]();
  }

  /**
   * Sends all requests in one call (more than 64, or 64 KiB, in several), and reads what becomes of each. The kernel does
   * them in order; one that fails undoes none before it, and those after it in the same call are done.
   *
   * @throws {NetlinkError} the first failure's. All answers have been read: the socket can be used on.
   */
  execute(requests: readonly Request[]): void {
    for (const group of groups(requests)) {
      const first = this.reserve(group.length);
      const messages = group.map((request, index) => ({
        ...request,
        flags: request.flags | NLM_F_REQUEST | NLM_F_ACK,
        sequence: first + index,
      }));
      this.#datagrams.send(encodeMessages(messages), group[0]!.label);
      const failure = this.#acknowledgements(group, first);
      if (failure !== undefined) throw failure;
    }
  }

  /** Reads an acknowledgement for each request. @returns the first failure. */
  #acknowledgements(requests: readonly Request[], first: number): NetlinkError | undefined {
    let failure: NetlinkError | undefined;
    for (let done = 0; done < requests.length;) {
      const { label } = requests[done]!;
      const datagram = this.#receive("acknowledgement", label);
      if (datagram === LOST) {
        this.#drain();
        throw failure ?? lostAnswer(label);
      }
      for (const message of decodeMessages(datagram)) {
        const index = message.sequence - first;
        if (message.type !== NLMSG_ERROR || index < done || index >= requests.length) continue;
        done = index + 1;
        failure ??= failureOf(requests[index]!.label, decodeError(message));
      }
    }
    return failure;
  }

  /**
   * All objects that a request asks for, but those for which `decode` gives undefined. A list that changed while the
   * kernel made it is asked for again.
   *
   * @throws {NetlinkError} when the kernel refuses; `EINTR` when the list never stayed the same. {CrateError} `FAILED` for
   * a malformed answer.
   */
  dump<T>(request: Request, decode: (message: Message) => T | undefined): T[] {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = this.#dumpOnce(request, decode);
      if (found !== AGAIN) return found;
    }
    throw unsteady(request.label);
  }

  #dumpOnce<T>(
    request: Request,
    decode: (message: Message) => T | undefined,
  ): T[] | typeof AGAIN {
    const { label } = request;
    const sequence = this.#ask(request, NLM_F_DUMP);
    const found: T[] = [];
    let again = false;
    let malformed: { error: unknown } | undefined;
    // It is read to its end in any case: the kernel makes one list for a socket at a time.
    for (;;) {
      const datagram = this.#receive("object", label);
      if (datagram === LOST) {
        again = true;
        continue;
      }
      for (const message of decodeMessages(datagram)) {
        if (message.sequence !== sequence) continue;
        if (message.flags & NLM_F_DUMP_INTR) again = true;
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          const end = message.type === NLMSG_DONE ? decodeDone(message) : decodeError(message);
          if (again || end.errno === EINTR || end.errno === EAGAIN) return AGAIN;
          const failure = failureOf(label, end);
          if (failure !== undefined) throw failure;
          if (malformed !== undefined) throw malformed.error;
          return found;
        }
        if (message.type <= NLMSG_OVERRUN || malformed !== undefined) continue;
        try {
          const value = decode(message);
          if (value !== undefined) found.push(value);
        } catch (error) {
          malformed = { error };
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
  get<T>(request: Request, decode: (message: Message) => T): T | undefined {
    const { label } = request;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const sequence = this.#ask(request, 0);
      for (;;) {
        const datagram = this.#receive("object", label);
        if (datagram === LOST) break;
        const answer = decodeMessages(datagram).find((message) =>
          message.sequence === sequence &&
          (message.type === NLMSG_ERROR || message.type > NLMSG_OVERRUN)
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

  /** Reserves numbers for messages. @returns the first. */
  reserve(count: number): number {
    if (this.#sequence + count > 0xffffffff) this.#sequence = 0;
    const first = this.#sequence + 1;
    this.#sequence += count;
    return first;
  }

  /** Sends messages in one datagram, and reads the answers that are there then: none is waited for. @throws {NetlinkError} */
  exchange(bytes: Uint8Array, label: string): Answers {
    this.#datagrams.send(bytes, label);
    return this.#drain();
  }

  /** The answers that are there already. */
  #drain(): Answers {
    const messages: Message[] = [];
    let lost = false;
    for (;;) {
      const datagram = this.#datagrams.receive("acknowledgement", false);
      if (datagram === EMPTY) return { messages, lost };
      if (datagram === LOST) lost = true;
      else messages.push(...decodeMessages(datagram));
    }
  }

  /** Sends one request. @returns its number. */
  #ask({ label, type, flags, body }: Request, more: number): number {
    const sequence = this.reserve(1);
    const message = { type, flags: flags | NLM_F_REQUEST | more, sequence, body };
    this.#datagrams.send(encodeMessages([message]), label);
    return sequence;
  }

  /** The next datagram, waited for. @throws {CrateError} `FAILED` when none comes. */
  #receive(
    size: "acknowledgement" | "object",
    label: string,
  ): Uint8Array<ArrayBuffer> | typeof LOST {
    const datagram = this.#datagrams.receive(size, true);
    if (datagram !== EMPTY) return datagram;
    throw new CrateError("FAILED", `${label}: the kernel does not answer`);
  }
}

/** The error that an acknowledgement is, if it is one. */
export function failureOf(label: string, answer: Acknowledgement): NetlinkError | undefined {
  return answer.errno === 0 ? undefined : new NetlinkError(label, answer.errno, answer);
}

/** The error for a list that was never the same from its beginning to its end. */
export function unsteady(label: string): NetlinkError {
  return new NetlinkError(label, EINTR, { text: "it changes faster than it can be read" });
}

/** The error for an answer that had no room. */
export function lostAnswer(label: string): NetlinkError {
  return new NetlinkError(label, ENOBUFS, { text: "the kernel's answer is lost" });
}

/** Requests in groups that are sane to send at once. */
function groups(requests: readonly Request[]): Request[][] {
  const all: Request[][] = [];
  let bytes = 0;
  for (const request of requests) {
    const size = messageSize(request.body);
    const last = all.at(-1);
    if (last === undefined || last.length === REQUESTS_AT_ONCE || bytes + size > SENT_AT_ONCE) {
      all.push([request]);
      bytes = size;
    } else {
      last.push(request);
      bytes += size;
    }
  }
  return all;
}
