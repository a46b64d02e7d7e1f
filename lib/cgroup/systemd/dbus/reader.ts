import { alignmentOf, fieldsOf, malformed, typeEnd, typesOf } from "./signature.ts";
import type { Value } from "./value.ts";
import { MAX_ARRAY } from "./writer.ts";

/** How deep variants may lie in variants. */
const MAX_VARIANTS = 16;

/** Reads little- or big-endian D-Bus bytes that a stranger may have written. */
export class Reader {
  readonly #view: DataView<ArrayBuffer>;
  #at = 0;
  #variants = 0;

  constructor(
    readonly bytes: Uint8Array<ArrayBuffer>,
    readonly little: boolean,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** How many bytes have been read. */
  get at(): number {
    return this.#at;
  }

  /** Passes the padding before the next multiple, which is zeros. @throws {CrateError} */
  align(multiple: number): void {
    const count = (multiple - this.#at % multiple) % multiple;
    const at = this.#take(count);
    for (let i = at; i < at + count; i++) {
      if (this.bytes[i] !== 0) throw malformed("the padding is not of zeros");
    }
  }

  /** A value for each type. @throws {CrateError} `FAILED` for bytes that are none. */
  all(signature: string): Value[] {
    return typesOf(signature).map((type) => this.one(type));
  }

  /** One value. @throws {CrateError} as {@linkcode all}. */
  one(type: string): Value {
    this.align(alignmentOf(type));
    const { little } = this;
    switch (type[0]) {
      case "y":
        return this.#view.getUint8(this.#take(1));
      case "n":
        return this.#view.getInt16(this.#take(2), little);
      case "q":
        return this.#view.getUint16(this.#take(2), little);
      case "i":
        return this.#view.getInt32(this.#take(4), little);
      case "u":
      case "h":
        return this.#unsigned();
      case "x":
        return this.#view.getBigInt64(this.#take(8), little);
      case "t":
        return this.#view.getBigUint64(this.#take(8), little);
      case "d":
        return this.#view.getFloat64(this.#take(8), little);
      case "b": {
        const value = this.#unsigned();
        if (value > 1) throw malformed(`${value} is no boolean`);
        return value === 1;
      }
      case "s":
      case "o":
        return this.#text(this.#unsigned());
      case "g":
        return this.#text(this.#view.getUint8(this.#take(1)));
      case "v":
        return this.#variant();
      case "a":
        return this.#array(type.slice(1));
      case "(":
      case "{":
        return this.all(fieldsOf(type).join(""));
    }
    throw malformed(`"${type}" is no type`);
  }

  #variant(): Value {
    const signature = this.#text(this.#view.getUint8(this.#take(1)));
    if (signature === "" || typeEnd(signature, 0) !== signature.length) {
      throw malformed(`a variant has one type, got "${signature}"`);
    }
    if (++this.#variants > MAX_VARIANTS) throw malformed("variants lie too deep in each other");
    const value = this.one(signature);
    this.#variants--;
    return { signature, value };
  }

  #array(type: string): Value {
    const size = this.#unsigned();
    if (size > MAX_ARRAY) throw malformed(`an array of ${size} bytes is too long`);
    this.align(alignmentOf(type));
    const end = this.#at + size;
    if (end > this.bytes.length) throw malformed("an array is longer than its message");
    if (type === "y") {
      const at = this.#take(size);
      return this.bytes.slice(at, end);
    }
    const values: Value[] = [];
    while (this.#at < end) values.push(this.one(type));
    if (this.#at !== end) throw malformed("an array's last value reaches beyond it");
    return values;
  }

  #unsigned(): number {
    return this.#view.getUint32(this.#take(4), this.little);
  }

  #text(length: number): string {
    const at = this.#take(length + 1);
    const bytes = this.bytes.subarray(at, at + length);
    if (bytes.includes(0) || this.bytes[at + length] !== 0) {
      throw malformed("a text does not end where it should");
    }
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
      throw malformed("a text is not UTF-8");
    }
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.bytes.length - at) throw malformed("a message ends in the middle of a value");
    this.#at += count;
    return at;
  }
}
