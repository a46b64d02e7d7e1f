import { encodeText } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { rangeOf, type Value, type Variant } from "./dbus/mod.ts";

/** The words for types, and what they are on the wire. */
const WORDS: Record<string, string> = {
  boolean: "b",
  byte: "y",
  int16: "n",
  uint16: "q",
  int32: "i",
  uint32: "u",
  int64: "x",
  uint64: "t",
  double: "d",
  string: "s",
  objectpath: "o",
  signature: "g",
};
const ESCAPES: Record<string, string> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};
const NUMBER = /^[-+]?(0x[0-9a-f]+|(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|inf(inity)?|nan)(?![\w.])/i;
const STRING = /^(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")/su;
const MAX_DEPTH = 16;

/**
 * A value from its text as GVariant writes it, which is how annotations have systemd's properties: `uint64 5`,
 * `true`, `"string"`, `['a', 'b']`. A whole number without a type is an int32.
 *
 * @param what whose value it is, for the error.
 * @throws {CrateError} `INVALID`
 * @see https://docs.gtk.org/glib/gvariant-text-format.html
 *
 * @example
 * ```ts
 * import { parseVariant } from "./gvariant.ts";
 * const { signature, value } = parseVariant("uint64 5", "an annotation");
 * if (signature !== "t" || value !== 5n) throw new Error();
 * ```
 */
export function parseVariant(text: string, what: string): Variant {
  return new Parser(text, what).whole();
}

class Parser {
  #at = 0;
  #depth = 0;
  constructor(readonly text: string, readonly what: string) {}

  whole(): Variant {
    const variant = this.#value();
    this.#space();
    if (this.#at < this.text.length) throw this.#wrong("the end");
    return variant;
  }

  #wrong(expected: string): CrateError {
    const rest = this.text.slice(this.#at, this.#at + 20);
    const got = rest === "" ? "nothing more" : JSON.stringify(rest);
    return new CrateError(
      "INVALID",
      `${this.what} must be a value as GVariant's text has it, such as "uint64 5": ` +
        `expected ${expected}, got ${got}`,
    );
  }

  #space(): void {
    while (/\s/.test(this.text[this.#at] ?? "")) this.#at++;
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    const found = pattern.exec(this.text.slice(this.#at));
    if (found !== null) this.#at += found[0].length;
    return found;
  }

  #skip(token: string): boolean {
    this.#space();
    const isThere = this.text.startsWith(token, this.#at);
    if (isThere) this.#at += token.length;
    return isThere;
  }

  /** @param type what it must be of; absent: what it looks like. */
  #value(type?: string): Variant {
    if (++this.#depth > MAX_DEPTH) throw this.#wrong(`at most ${MAX_DEPTH} values in each other`);
    const variant = this.#any(type);
    this.#depth--;
    if (type !== undefined && variant.signature !== type) throw this.#wrong(`a "${type}" before`);
    return variant;
  }

  #any(type: string | undefined): Variant {
    this.#space();
    if (this.#skip("@")) {
      const annotated = this.#take(/^[a-z(){}]+/);
      if (annotated === null) throw this.#wrong("a type");
      return this.#value(annotated[0]);
    }
    if (this.#skip("[")) return this.#array(type);
    if (this.#skip("{")) return this.#dictionary(type);
    if (this.#skip("(")) return this.#tuple(type);
    if (this.#skip("<")) {
      const value = this.#value();
      if (!this.#skip(">")) throw this.#wrong('">"');
      return { signature: "v", value };
    }
    const bytes = this.#take(/^b(?=['"])/) !== null;
    const string = this.#take(STRING);
    if (string !== null) {
      const text = unescape(string[1] ?? string[2] ?? "");
      if (text === undefined) throw this.#wrong("a text with escapes as in C before");
      if (bytes) return { signature: "ay", value: encodeText(`${text}\0`) };
      return { signature: type === "o" || type === "g" ? type : "s", value: text };
    }
    const number = this.#take(NUMBER);
    if (number !== null) return this.#number(number[0], type);
    const word = this.#take(/^[a-z]+\d*/)?.[0];
    if (word === "true" || word === "false") return { signature: "b", value: word === "true" };
    const named = word === undefined ? undefined : WORDS[word];
    if (named === undefined) throw this.#wrong("a value");
    return this.#value(named);
  }

  #number(digits: string, type: string | undefined): Variant {
    const isWhole = /^[-+]?(0x[0-9a-f]+|\d+)$/i.test(digits);
    if (type === "d" || !isWhole) {
      const word = digits.replace(/inf(inity)?/i, "Infinity").replace(/nan/i, "NaN");
      return { signature: "d", value: Number(word) };
    }
    const signature = type ?? "i";
    const range = rangeOf(signature);
    const sign = digits.startsWith("-") ? -1n : 1n;
    const plain = digits.replace(/^[-+]/, "");
    // As in C: a zero begins an octal number.
    const isOctal = /^0[0-7]+$/.test(plain);
    const value = sign * BigInt(isOctal ? `0o${plain.slice(1)}` : plain);
    if (range === undefined || value < range[0] || value > range[1]) {
      throw this.#wrong(`a number that a "${signature}" holds before`);
    }
    const isLong = signature === "x" || signature === "t";
    return { signature, value: isLong ? value : Number(value) };
  }

  /** Values between commas up to a closing bracket; the bracket's opposite has been read. */
  #list(close: string, each: (index: number) => Value): Value[] {
    const values: Value[] = [];
    while (!this.#skip(close)) {
      if (values.length > 0) {
        if (!this.#skip(",")) throw this.#wrong(`"," or "${close}"`);
        // A tuple of one has a comma at its end.
        if (close === ")" && this.#skip(close)) break;
      }
      values.push(each(values.length));
    }
    return values;
  }

  #array(type: string | undefined): Variant {
    let element = type?.startsWith("a") ? type.slice(1) : undefined;
    const values = this.#list("]", () => {
      const { signature, value } = this.#value(element);
      element = signature;
      return value;
    });
    if (element === undefined) {
      throw this.#wrong("the type of an empty array, as in @as [], before");
    }
    const isBytes = element === "y";
    return {
      signature: `a${element}`,
      value: isBytes ? new Uint8Array(values as number[]) : values,
    };
  }

  #dictionary(type: string | undefined): Variant {
    let [key, element] = type?.startsWith("a{")
      ? [type.slice(2, 3), type.slice(3, -1)]
      : [undefined, undefined];
    const values = this.#list("}", () => {
      const name = this.#value(key);
      if (!this.#skip(":")) throw this.#wrong('":"');
      const variant = this.#value(element);
      [key, element] = [name.signature, variant.signature];
      return [name.value, variant.value];
    });
    if (key === undefined) throw this.#wrong("the type of an empty dictionary before");
    return { signature: `a{${key}${element}}`, value: values };
  }

  #tuple(type: string | undefined): Variant {
    const types: string[] = [];
    const expected = type?.startsWith("(") ? splitTypes(type) : undefined;
    const values = this.#list(")", (index) => {
      const { signature, value } = this.#value(expected?.[index]);
      types.push(signature);
      return value;
    });
    return { signature: `(${types.join("")})`, value: values };
  }
}

/** The fields of `(st)`, where none is a structure itself. */
function splitTypes(type: string): string[] {
  return type.slice(1, -1).match(/a*(\{[^}]*\}|[a-z])/g) ?? [];
}

/** Undefined for an escape that is none. */
function unescape(text: string): string | undefined {
  let wrong = false;
  const plain = text.replace(/\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)/gsu, (_, escape: string) => {
    if (escape.length === 1) return ESCAPES[escape] ?? escape;
    const code = parseInt(escape.slice(1), 16);
    if (code === 0 || code > 0x10ffff) wrong = true;
    return wrong ? "" : String.fromCodePoint(code);
  });
  return wrong || plain.includes("\0") ? undefined : plain;
}
