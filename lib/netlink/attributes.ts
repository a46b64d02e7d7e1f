import { decodeText, encodeText, type Fields, type Layout, type Values } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { NLA_F_NESTED, NLA_TYPE_MASK } from "./constants.ts";
import { malformed } from "./errors.ts";

// Attributes, linux/netlink.h: a length with its own four bytes, a type, the value, and filling up to
// the next multiple of four. A value may be attributes again.

const HEADER_SIZE = 4;
/** An attribute's length is a number of 16 bits. */
const MAX_ATTRIBUTE = 0xffff;

/** The next multiple of four. */
export function align(size: number): number {
  return (size + 3) & ~3;
}

/**
 * Writes a message's body: structs and attributes, one after the other.
 *
 * Integers are the machine's (both are little-endian) but where a name ends in `be`: network byte order.
 *
 * @example
 * ```ts
 * import { Writer } from "./attributes.ts";
 * const bytes = new Writer().nested(1, (w) => w.u32(2, 7)).finish();
 * if (bytes.length !== 12) throw new Error();
 * ```
 */
export class Writer {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** How many bytes are written. */
  get length(): number {
    return this.#length;
  }

  /** Bytes as they are, filled up to a multiple of four. */
  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** A struct, filled up to a multiple of four. */
  struct<F extends Fields>(layout: Layout<F>, values: Values<F> = {}): this {
    const at = this.#room(layout.size);
    layout.write(this.#view, at, values);
    return this;
  }

  /** An attribute of bytes as they are. */
  bytes(type: number, value: Uint8Array): this {
    const at = this.#attribute(type, value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** A text with a NUL at its end. @throws {CrateError} `INVALID` for one with a NUL inside. */
  text(type: number, value: string): this {
    if (value.includes("\0")) {
      throw new CrateError("INVALID", `${JSON.stringify(value)} must be without a NUL`);
    }
    return this.bytes(type, encodeText(`${value}\0`));
  }

  /** An attribute that says by being there. */
  flag(type: number): this {
    this.#attribute(type, 0);
    return this;
  }

  u8(type: number, value: number): this {
    const at = this.#attribute(type, 1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(type: number, value: number): this {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value, true);
    return this;
  }

  u16be(type: number, value: number): this {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value);
    return this;
  }

  u32(type: number, value: number): this {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  u32be(type: number, value: number): this {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value);
    return this;
  }

  u64be(type: number, value: number | bigint): this {
    const at = this.#attribute(type, 8);
    this.#view.setBigUint64(at, BigInt(value));
    return this;
  }

  /** An attribute that holds what `body` writes. @throws {CrateError} `INVALID` above 65,535 bytes. */
  nested(type: number, body: (writer: this) => void): this {
    const at = this.#room(HEADER_SIZE);
    body(this);
    const size = this.#length - at;
    checkSize(size);
    this.#view.setUint16(at, size, true);
    this.#view.setUint16(at + 2, type | NLA_F_NESTED, true);
    return this;
  }

  /** What is written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  /** Where the value of a new attribute goes. The bytes may be other ones afterwards. */
  #attribute(type: number, size: number): number {
    checkSize(HEADER_SIZE + size);
    const at = this.#room(HEADER_SIZE + size);
    this.#view.setUint16(at, HEADER_SIZE + size, true);
    this.#view.setUint16(at + 2, type, true);
    return at + HEADER_SIZE;
  }

  #room(size: number): number {
    const at = this.#length;
    const end = at + align(size);
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = end;
    return at;
  }
}

function checkSize(size: number): void {
  if (size > MAX_ATTRIBUTE) {
    throw new CrateError("INVALID", `netlink: an attribute of ${size} bytes; at most 65535`);
  }
}

/** One attribute of a list. */
export interface Attribute {
  readonly type: number;
  /** A part of the message. */
  readonly value: Uint8Array<ArrayBuffer>;
}

/**
 * The attributes that bytes hold, one by one. What follows the last whole one and is shorter than a header is filling.
 *
 * @throws {CrateError} `FAILED` when a length reaches out of the bytes, or is less than a header's.
 */
export function listAttributes(bytes: Uint8Array<ArrayBuffer>): Attribute[] {
  const found: Attribute[] = [];
  for (let at = 0; at + HEADER_SIZE <= bytes.length;) {
    const size = bytes[at]! | bytes[at + 1]! << 8;
    const type = (bytes[at + 2]! | bytes[at + 3]! << 8) & NLA_TYPE_MASK;
    if (size < HEADER_SIZE || at + size > bytes.length) {
      throw malformed(`attribute ${type} of ${size} bytes, where ${bytes.length - at} are left`);
    }
    found.push({ type, value: bytes.subarray(at + HEADER_SIZE, at + size) });
    at += align(size);
  }
  return found;
}

/**
 * Attributes by their types; of several of one type the last, as the kernel reads them.
 *
 * Each reader gives `undefined` for a type that is not there.
 *
 * @throws {CrateError} `FAILED` for bytes that are no attributes, and for a value of another size.
 */
export class Attributes {
  readonly #values = new Map<number, Uint8Array<ArrayBuffer>>();

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    for (const { type, value } of listAttributes(bytes)) this.#values.set(type, value);
  }

  has(type: number): boolean {
    return this.#values.has(type);
  }

  /** A copy of a value's bytes. */
  bytes(type: number): Uint8Array<ArrayBuffer> | undefined {
    return this.#values.get(type)?.slice();
  }

  /** A text, up to its first NUL. */
  text(type: number): string | undefined {
    const value = this.#values.get(type);
    if (value === undefined) return undefined;
    const end = value.indexOf(0);
    return decodeText(end < 0 ? value : value.subarray(0, end));
  }

  /** The attributes in an attribute. */
  nested(type: number): Attributes | undefined {
    const value = this.#values.get(type);
    return value && new Attributes(value);
  }

  /** The list of attributes in an attribute; an empty one when it is not there. */
  list(type: number): Attribute[] {
    const value = this.#values.get(type);
    return value === undefined ? [] : listAttributes(value);
  }

  u8(type: number): number | undefined {
    return this.#view(type, 1)?.getUint8(0);
  }

  u16(type: number): number | undefined {
    return this.#view(type, 2)?.getUint16(0, true);
  }

  u16be(type: number): number | undefined {
    return this.#view(type, 2)?.getUint16(0);
  }

  u32(type: number): number | undefined {
    return this.#view(type, 4)?.getUint32(0, true);
  }

  i32(type: number): number | undefined {
    return this.#view(type, 4)?.getInt32(0, true);
  }

  u32be(type: number): number | undefined {
    return this.#view(type, 4)?.getUint32(0);
  }

  u64be(type: number): bigint | undefined {
    return this.#view(type, 8)?.getBigUint64(0);
  }

  #view(type: number, size: number): DataView | undefined {
    const value = this.#values.get(type);
    if (value === undefined) return undefined;
    if (value.length !== size) {
      throw malformed(`attribute ${type} of ${value.length} bytes, where ${size} are expected`);
    }
    return new DataView(value.buffer, value.byteOffset, size);
  }
}
