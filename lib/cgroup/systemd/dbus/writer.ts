import { encodeText } from "../../../../ffi/mod.ts";
import { alignmentOf, fieldsOf, malformed, typeEnd, typesOf } from "./signature.ts";
import { isVariant, type Value } from "./value.ts";

/** The longest array and the longest message: dbus-specification, "Marshaling". */
export const MAX_ARRAY = 1 << 26;

const LEAST: Record<string, bigint> = { n: -(1n << 15n), i: -(1n << 31n), x: -(1n << 63n) };
const MOST: Record<string, bigint> = {
  y: (1n << 8n) - 1n,
  n: (1n << 15n) - 1n,
  q: (1n << 16n) - 1n,
  i: (1n << 31n) - 1n,
  u: (1n << 32n) - 1n,
  x: (1n << 63n) - 1n,
  t: (1n << 64n) - 1n,
};

/** The least and the most that a type of whole numbers holds; undefined for other types. */
export function rangeOf(type: string): readonly [bigint, bigint] | undefined {
  const most = MOST[type];
  return most === undefined ? undefined : [LEAST[type] ?? 0n, most];
}

/** Writes values as little-endian D-Bus bytes. */
export class Writer {
  #bytes = new Uint8Array(256);
  #at = 0;

  /** What has been written. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#at);
  }

  /** Zeros up to the next multiple. */
  align(multiple: number): void {
    this.#reserve((multiple - this.#at % multiple) % multiple);
  }

  /**
   * A value for each type of the signature.
   *
   * @throws {CrateError} `FAILED` for a value that its type does not hold.
   */
  all(signature: string, values: readonly Value[]): void {
    const types = typesOf(signature);
    if (types.length !== values.length) {
      throw malformed(`"${signature}" has ${types.length} values, got ${values.length}`);
    }
    types.forEach((type, i) => this.one(type, values[i]!));
  }

  /** One value. @throws {CrateError} as {@linkcode all}. */
  one(type: string, value: Value): void {
    const wrong = () => malformed(`${shown(value)} is no value of the type "${type}"`);
    this.align(alignmentOf(type));
    const range = rangeOf(type);
    if (range !== undefined) {
      if (typeof value !== "number" && typeof value !== "bigint") throw wrong();
      if (!Number.isInteger(value) && typeof value === "number") throw wrong();
      if (BigInt(value) < range[0] || BigInt(value) > range[1]) throw wrong();
      return this.#integer(type, value);
    }
    switch (type[0]) {
      case "b":
        if (typeof value !== "boolean") throw wrong();
        return this.#integer("u", value ? 1 : 0);
      case "d":
        if (typeof value !== "number") throw wrong();
        return this.#room(8).setFloat64(0, value, true);
      case "s":
      case "o":
      case "g":
        if (typeof value !== "string" || value.includes("\0")) throw wrong();
        return this.#text(type, value);
      case "v": {
        if (!isVariant(value) || typeEnd(value.signature, 0) !== value.signature.length) {
          throw wrong();
        }
        this.#text("g", value.signature);
        return this.one(value.signature, value.value);
      }
      case "a":
        return this.#array(type.slice(1), value, wrong);
      case "(":
      case "{": {
        if (!Array.isArray(value)) throw wrong();
        return this.all(fieldsOf(type).join(""), value);
      }
    }
    throw wrong();
  }

  #array(type: string, value: Value, wrong: () => Error): void {
    const length = this.#reserve(4);
    this.align(alignmentOf(type));
    const start = this.#at;
    if (value instanceof Uint8Array && type === "y") {
      const at = this.#reserve(value.length);
      this.#bytes.set(value, at);
    } else {
      if (!Array.isArray(value)) throw wrong();
      for (const each of value) this.one(type, each);
    }
    const size = this.#at - start;
    if (size > MAX_ARRAY) throw malformed(`an array has ${size} bytes, at most ${MAX_ARRAY}`);
    new DataView(this.#bytes.buffer).setUint32(length, size, true);
  }

  #integer(type: string, value: number | bigint): void {
    switch (type) {
      case "y":
        return this.#room(1).setUint8(0, Number(value));
      case "n":
      case "q":
        return this.#room(2).setUint16(0, Number(value), true);
      case "i":
      case "u":
        return this.#room(4).setUint32(0, Number(value), true);
      default:
        return this.#room(8).setBigUint64(0, BigInt(value), true);
    }
  }

  #text(type: string, text: string): void {
    const bytes = encodeText(text);
    if (type !== "g") this.#integer("u", bytes.length);
    else if (bytes.length > 255) throw malformed("a signature is longer than 255 bytes");
    else this.#integer("y", bytes.length);
    // With the NUL that follows it.
    const at = this.#reserve(bytes.length + 1);
    this.#bytes.set(bytes, at);
  }

  /** The next so many bytes. */
  #room(count: number): DataView<ArrayBuffer> {
    const at = this.#reserve(count);
    return new DataView(this.#bytes.buffer, at, count);
  }

  /** Room for so many bytes, all zero. @returns where. */
  #reserve(count: number): number {
    const at = this.#at;
    this.#at += count;
    if (this.#at > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#at));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return at;
  }
}

function shown(value: Value): string {
  return JSON.stringify(value, (_, each) => typeof each === "bigint" ? String(each) : each);
}
