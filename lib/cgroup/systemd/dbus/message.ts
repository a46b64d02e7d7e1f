import { Reader } from "./reader.ts";
import { malformed } from "./signature.ts";
import { isVariant, type Value } from "./value.ts";
import { Writer } from "./writer.ts";

// Messages: dbus-specification, "Message Protocol".

const LITTLE = "l".charCodeAt(0);
const BIG = "B".charCodeAt(0);
const PROTOCOL = 1;
/** Endianness, type, flags, protocol, the body's size, the serial, the size of the fields. */
export const PREFIX_SIZE = 16;
/** The longest message that is read; the specification allows 128 MiB, and none of systemd's comes near. */
const MAX_MESSAGE = 16 << 20;

/** What a message is: METHOD_CALL, METHOD_RETURN, ERROR, SIGNAL. */
export type MessageType = "call" | "return" | "error" | "signal";
const TYPES: readonly (MessageType | undefined)[] = [
  undefined,
  "call",
  "return",
  "error",
  "signal",
];

/** Header fields and the types of their values, by their codes. */
const FIELDS = [
  undefined,
  ["path", "o"],
  ["interface", "s"],
  ["member", "s"],
  ["error", "s"],
  ["replyTo", "u"],
  ["destination", "s"],
  ["sender", "s"],
  ["signature", "g"],
] as const;

/** A message that came or goes. */
export interface Message {
  readonly type: MessageType;
  readonly serial: number;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  /** An error's name. */
  readonly error?: string;
  /** The serial of the call that this answers. */
  readonly replyTo?: number;
  readonly destination?: string;
  readonly sender?: string;
  readonly signature?: string;
  /** A value for each type of the signature. */
  readonly body: readonly Value[];
}

/**
 * A message's bytes.
 *
 * @throws {CrateError} `FAILED` for a body that is not of the signature.
 *
 * @example
 * ```ts
 * import { decodeMessage, encodeMessage } from "./message.ts";
 * const bytes = encodeMessage({ type: "signal", serial: 1, signature: "s", body: ["hello"] });
 * if (decodeMessage(bytes).body[0] !== "hello") throw new Error();
 * ```
 */
export function encodeMessage(message: Message): Uint8Array<ArrayBuffer> {
  const body = new Writer();
  body.all(message.signature ?? "", message.body);
  const size = body.bytes.length;
  const fields: Value[] = FIELDS.flatMap((field, code) => {
    const value = field && message[field[0]];
    return value === undefined || value === "" ? [] : [[code, { signature: field![1], value }]];
  });
  const header = new Writer();
  const type = TYPES.indexOf(message.type);
  header.all("yyyyuua(yv)", [LITTLE, type, 0, PROTOCOL, size, message.serial, fields]);
  header.align(8);
  const head = header.bytes;
  const bytes = new Uint8Array(head.length + size);
  bytes.set(head);
  bytes.set(body.bytes, head.length);
  return bytes;
}

/**
 * How long a message is, by its first {@linkcode PREFIX_SIZE} bytes.
 *
 * @throws {CrateError} `FAILED` when they are not a message's, or it is longer than 16 MiB.
 */
export function messageSize(prefix: Uint8Array<ArrayBuffer>): number {
  const { little, view } = begin(prefix);
  const body = view.getUint32(4, little);
  const fields = view.getUint32(12, little);
  const size = PREFIX_SIZE + Math.ceil(fields / 8) * 8 + body;
  if (size > MAX_MESSAGE) throw malformed(`a message of ${size} bytes is too long`);
  return size;
}

function begin(bytes: Uint8Array<ArrayBuffer>): { little: boolean; view: DataView } {
  const [order, , , protocol] = bytes;
  if (
    bytes.length < PREFIX_SIZE || protocol !== PROTOCOL || order !== LITTLE && order !== BIG
  ) throw malformed("what came is no message of version 1");
  return { little: order === LITTLE, view: new DataView(bytes.buffer, bytes.byteOffset) };
}

/** A message from its bytes. @throws {CrateError} `FAILED` when they are none. */
export function decodeMessage(bytes: Uint8Array<ArrayBuffer>): Message {
  const { little } = begin(bytes);
  if (messageSize(bytes) !== bytes.length) throw malformed("a message is not of its own size");
  const head = new Reader(bytes, little);
  const [, code, , , , serial, fields] = head.all("yyyyuua(yv)");
  head.align(8);
  const type = TYPES[code as number];
  if (type === undefined) throw malformed(`${code} is no type of a message`);
  const known: Record<string, Value> = {};
  for (const field of fields as readonly Value[]) {
    const [code, variant] = field as readonly [number, Value];
    const [name, expected] = FIELDS[code] ?? [];
    // Others are to be ignored.
    if (name === undefined || !isVariant(variant)) continue;
    if (variant.signature !== expected) throw malformed(`the field ${name} is no "${expected}"`);
    known[name] = variant.value;
  }
  const signature = (known.signature ?? "") as string;
  // Alignment counts from the body's beginning, which is a multiple of eight.
  const rest = new Reader(bytes.slice(head.at), little);
  const body = rest.all(signature);
  if (rest.at !== bytes.length - head.at) {
    throw malformed("a message's body is longer than it says");
  }
  return { ...known, type, serial: serial as number, signature, body };
}
