import { CrateError } from "../../errors.ts";
import { decodeText, encodeText } from "../../../ffi/mod.ts";

// Protocol buffers, as much of them as criu's rpc.proto has: bools, 32-bit integers, enums, strings and messages.
// https://protobuf.dev/programming-guides/encoding/

/** What a field of a message holds. */
export type FieldType = "bool" | "int32" | "uint32" | "string" | Message<MessageFields>;

/** One field: its number, its type, and whether there are any number of it. */
export type Field = readonly [number: number, type: FieldType, repeated?: "repeated"];

/** The fields of a message by their names. */
export type MessageFields = Readonly<Record<string, Field>>;

/** A kind of message. */
export interface Message<Fields extends MessageFields> {
  readonly fields: Fields;
}

type ScalarOf<Type> = Type extends "bool" ? boolean
  : Type extends "string" ? string
  : Type extends Message<infer Fields> ? ValuesOf<Fields>
  : number;

type ValueOf<F extends Field> = F extends readonly [number, infer Type, "repeated"]
  ? readonly ScalarOf<Type>[]
  : ScalarOf<F[1]>;

/** A message's values: every field may be left out. */
export type ValuesOf<Fields extends MessageFields> = {
  readonly [Name in keyof Fields]?: ValueOf<Fields[Name]>;
};

/** The values of a kind of message. */
export type Values<Kind> = Kind extends Message<infer Fields> ? ValuesOf<Fields> : never;

/** Declares a kind of message. */
export function message<const Fields extends MessageFields>(fields: Fields): Message<Fields> {
  return { fields };
}

type Scalar = boolean | number | string | object;

/** The low three bits of a field's key. */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** Ten groups of seven bits hold 64. */
const MAX_VARINT = 10;

function isMessage(type: FieldType): type is Message<MessageFields> {
  return typeof type === "object";
}

function putVarint(to: number[], value: bigint): void {
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    to.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  to.push(Number(rest));
}

function checkInteger(name: string, type: "int32" | "uint32", value: number): bigint {
  const [least, most] = type === "int32" ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} must be a whole number from ${least} to ${most}, got ${value}`);
  }
  // A negative one is as long as 64 bits make it.
  return BigInt(value);
}

function putField(to: number[], name: string, [number, type]: Field, value: Scalar): void {
  const key = (wire: number) => putVarint(to, BigInt(number) << 3n | BigInt(wire));
  if (type === "bool") {
    key(VARINT);
    to.push(value === true ? 1 : 0);
  } else if (type === "int32" || type === "uint32") {
    const integer = checkInteger(name, type, value as number);
    key(VARINT);
    putVarint(to, integer);
  } else {
    const bytes = isMessage(type)
      ? encode(type, value as ValuesOf<MessageFields>)
      : encodeText(value as string);
    key(LENGTH);
    putVarint(to, BigInt(bytes.length));
    for (const byte of bytes) to.push(byte);
  }
}

/**
 * Encodes a message, its fields in the order of their declaration.
 *
 * @throws {RangeError} for a number that its field cannot hold.
 *
 * @example
 * ```ts
 * import { encode, message } from "./wire.ts";
 * const version = message({ major: [1, "int32"], name: [6, "string"] });
 * const bytes = encode(version, { major: 3, name: "C" });
 * if (bytes.join() !== "8,3,50,1,67") throw new Error();
 * ```
 */
export function encode<Fields extends MessageFields>(
  { fields }: Message<Fields>,
  values: ValuesOf<Fields>,
): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  const all = values as Readonly<Record<string, Scalar | readonly Scalar[] | undefined>>;
  for (const [name, field] of Object.entries(fields)) {
    const value = all[name];
    if (value === undefined) continue;
    const list = field[2] === "repeated" ? value as readonly Scalar[] : [value];
    for (const each of list) putField(bytes, name, field, each);
  }
  return new Uint8Array(bytes);
}

function malformed(why: string, at: number): CrateError {
  return new CrateError("FAILED", `an answer of criu's is malformed at byte ${at}: ${why}`);
}

/** Reads a message's bytes from the front, and never past their end. */
class Reader {
  #at = 0;
  constructor(readonly bytes: Uint8Array<ArrayBuffer>, readonly start: number) {}

  get ended(): boolean {
    return this.#at >= this.bytes.length;
  }

  /** Where it is in the whole answer. */
  get at(): number {
    return this.start + this.#at;
  }

  varint(): bigint {
    let value = 0n;
    for (let i = 0; i < MAX_VARINT; i++) {
      const byte = this.bytes[this.#at];
      if (byte === undefined) throw malformed("it ends in a number", this.at);
      this.#at++;
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) {
        if (value >> 64n !== 0n) break;
        return value;
      }
    }
    throw malformed("a number of more than 64 bits", this.at);
  }

  take(length: bigint): Reader {
    const left = this.bytes.length - this.#at;
    if (length > BigInt(left)) throw malformed(`${length} bytes of ${left}`, this.at);
    const from = this.#at;
    this.#at += Number(length);
    return new Reader(this.bytes.subarray(from, this.#at), this.start + from);
  }

  skip(wire: number): void {
    if (wire === VARINT) this.varint();
    else if (wire === FIXED64) this.take(8n);
    else if (wire === FIXED32) this.take(4n);
    else if (wire === LENGTH) this.take(this.varint());
    else throw malformed(`a field of the unknown wire type ${wire}`, this.at);
  }
}

function read(from: Reader, type: FieldType, wire: number): Scalar {
  const { at } = from;
  const expected = type === "string" || isMessage(type) ? LENGTH : VARINT;
  if (wire !== expected) throw malformed(`wire type ${wire} where ${expected} belongs`, at);
  if (expected === VARINT) {
    const value = from.varint();
    if (type === "bool") return value !== 0n;
    return Number(type === "int32" ? BigInt.asIntN(32, value) : BigInt.asUintN(32, value));
  }
  const part = from.take(from.varint());
  return isMessage(type) ? decodeFrom(part, type) : decodeText(part.bytes);
}

function decodeFrom(from: Reader, { fields }: Message<MessageFields>): object {
  const byNumber = new Map(Object.entries(fields).map(([name, field]) => [field[0], name]));
  const values: Record<string, Scalar | Scalar[]> = {};
  while (!from.ended) {
    const { at } = from;
    const key = from.varint();
    const number = key >> 3n;
    const wire = Number(key & 7n);
    if (number === 0n || number > 0x1fffffffn) throw malformed(`a field numbered ${number}`, at);
    const name = byNumber.get(Number(number));
    // Of a newer criu.
    if (name === undefined) {
      from.skip(wire);
      continue;
    }
    const [, type, repeated] = fields[name]!;
    const value = read(from, type, wire);
    const list = values[name];
    if (repeated === undefined) values[name] = value;
    else if (Array.isArray(list)) list.push(value);
    else values[name] = [value];
  }
  return values;
}

/**
 * Decodes a message. Fields that it does not declare are passed over, and of a field that comes twice the last one
 * counts.
 *
 * @throws {CrateError} `FAILED` for bytes that are no such message.
 */
export function decode<Fields extends MessageFields>(
  kind: Message<Fields>,
  bytes: Uint8Array<ArrayBuffer>,
): ValuesOf<Fields> {
  return decodeFrom(new Reader(bytes, 0), kind) as ValuesOf<Fields>;
}
