import { Layout } from "../../ffi/mod.ts";
import { align, Attributes } from "./attributes.ts";
import {
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_REQUEST,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
} from "./constants.ts";
import { type ExtendedAck, malformed } from "./errors.ts";

/** linux/netlink.h: a message's header. */
export const nlmsghdr = new Layout("nlmsghdr", {
  nlmsg_len: "u32",
  nlmsg_type: "u16",
  nlmsg_flags: "u16",
  nlmsg_seq: "u32",
  nlmsg_pid: "u32",
});

const HEADER_SIZE = nlmsghdr.size;

/** Something to ask of the kernel: a value that nothing has been done with yet. */
export interface Request {
  /** What it asks for, in words: `add the link veth0`. */
  readonly label: string;
  readonly type: number;
  /** `NLM_F_*`, but for those of the conversation: REQUEST, ACK and DUMP. */
  readonly flags: number;
  /** What follows the header. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** A message as it came. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** The port that it was sent to. */
  readonly port: number;
  /** What follows the header; a part of the bytes that came. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** A message's parts, before it is bytes. */
export interface Outgoing {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

/** How many bytes a message with this body takes. */
export function messageSize(body: Uint8Array): number {
  return align(HEADER_SIZE + body.length);
}

/** Messages as bytes, one after the other. */
export function encodeMessages(messages: readonly Outgoing[]): Uint8Array<ArrayBuffer> {
  const total = messages.reduce((sum, { body }) => sum + messageSize(body), 0);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { type, flags, sequence, body } of messages) {
    nlmsghdr.write(view, at, {
      nlmsg_len: HEADER_SIZE + body.length,
      nlmsg_type: type,
      nlmsg_flags: flags,
      nlmsg_seq: sequence,
    });
    bytes.set(body, at + HEADER_SIZE);
    at += messageSize(body);
  }
  return bytes;
}

/** Requests as bytes, numbered from 1: for those who send them without a conversation. */
export function encodeRequests(
  requests: readonly Request[],
  { acknowledged = true } = {},
): Uint8Array<ArrayBuffer> {
  const more = NLM_F_REQUEST | (acknowledged ? NLM_F_ACK : 0);
  return encodeMessages(
    requests.map(({ type, flags, body }, i) => ({
      type,
      flags: flags | more,
      sequence: i + 1,
      body,
    })),
  );
}

/**
 * The messages that bytes hold.
 *
 * @throws {CrateError} `FAILED` when a length reaches out of the bytes, or is less than a header's.
 *
 * @example
 * ```ts
 * import { decodeMessages, encodeMessages } from "./message.ts";
 * const sent = encodeMessages([{ type: 16, flags: 1, sequence: 7, body: new Uint8Array(4) }]);
 * if (decodeMessages(sent)[0]?.sequence !== 7) throw new Error();
 * ```
 */
export function decodeMessages(bytes: Uint8Array<ArrayBuffer>): Message[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Message[] = [];
  for (let at = 0; at < bytes.length;) {
    const left = bytes.length - at;
    const size = left < HEADER_SIZE ? left : view.getUint32(at, true);
    if (size < HEADER_SIZE || size > left) {
      throw malformed(`a message of ${size} bytes, where ${left} are left`);
    }
    found.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      port: view.getUint32(at + 12, true),
      body: bytes.subarray(at + HEADER_SIZE, at + size),
    });
    at += align(size);
  }
  return found;
}

/** What NLMSG_ERROR and NLMSG_DONE say. */
export interface Acknowledgement extends ExtendedAck {
  /** 0 when it went well. */
  readonly errno: number;
}

/**
 * Reads the body of a message of type `NLMSG_ERROR`: the error, the header of the request (all of it, unless
 * `NLM_F_CAPPED`), and the kernel's sentence.
 *
 * @throws {CrateError} `FAILED` when it is malformed.
 */
export function decodeError({ body, flags }: Message): Acknowledgement {
  if (body.length < 4 + HEADER_SIZE) throw malformed(`an error of ${body.length} bytes`);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const request = flags & NLM_F_CAPPED ? HEADER_SIZE : view.getUint32(4, true);
  if (request > body.length - 4) throw malformed(`an error about a request of ${request} bytes`);
  return { errno: errnoOf(view.getInt32(0, true)), ...extended(flags, body, 4 + align(request)) };
}

/** Reads the end of a dump, `NLMSG_DONE`: it may be an error, too. @throws {CrateError} `FAILED` */
export function decodeDone({ body, flags }: Message): Acknowledgement {
  if (body.length < 4) return { errno: 0 };
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  return { errno: errnoOf(view.getInt32(0, true)), ...extended(flags, body, 4) };
}

function errnoOf(result: number): number {
  if (result > 0 || result < -4095) throw malformed(`the error ${result}`);
  return Math.abs(result);
}

function extended(flags: number, body: Uint8Array<ArrayBuffer>, at: number): ExtendedAck {
  if (!(flags & NLM_F_ACK_TLVS) || at >= body.length) return {};
  const attributes = new Attributes(body.subarray(at));
  const text = attributes.text(NLMSGERR_ATTR_MSG);
  const offset = attributes.u32(NLMSGERR_ATTR_OFFS);
  return { ...(text && { text }), ...(offset !== undefined && { offset }) };
}

/** A struct at the beginning of a message's body, and the attributes behind it. @throws {CrateError} `FAILED` */
export function splitBody(
  { type, body }: Message,
  size: number,
): { head: Uint8Array<ArrayBuffer>; attributes: Attributes } {
  if (body.length < size) {
    throw malformed(`a message of type ${type} with ${body.length} bytes, where ${size} begin it`);
  }
  return {
    head: body.subarray(0, size),
    attributes: new Attributes(body.subarray(Math.min(align(size), body.length))),
  };
}
