import { CrateError } from "../../errors.ts";

/**
 * A value of a stranger's JSON and where it stands, for messages. Of a key that is there twice the last counts, as in
 * Go's and JavaScript's parsers: the bytes are checked by digest, and crate reads them only this way. Only own
 * properties are seen, so that `__proto__` is a key like any other.
 */
export class Value {
  private constructor(readonly raw: unknown, readonly source: string, readonly path: string) {}

  /** @throws {CrateError} `INVALID`: too long, not UTF-8, not JSON, not an object (or list). */
  static parse(
    bytes: Uint8Array,
    max: number,
    source: string,
    kind: "object" | "list" = "object",
  ): Value {
    const refuse = (why: string) => new CrateError("INVALID", `${source} ${why}`);
    if (bytes.length > max) throw refuse(`has more than ${max} bytes`);
    let raw: unknown;
    try {
      raw = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch {
      throw refuse("is not JSON");
    }
    const value = new Value(raw, source, "");
    if (kind === "list") value.list(Infinity);
    else value.object();
    return value;
  }

  refuse(why: string): CrateError {
    const path = this.path === "" ? "" : `: ${this.path}`;
    return new CrateError("INVALID", `${this.source}${path} ${why}`);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.object(), name);
  }

  /** A field; undefined when it is not there or null. */
  optional(name: string): Value | undefined {
    const object = this.object();
    const raw = Object.hasOwn(object, name) ? object[name] : undefined;
    if (raw === undefined || raw === null) return undefined;
    return new Value(raw, this.source, this.path === "" ? name : `${this.path}.${name}`);
  }

  required(name: string): Value {
    const value = this.optional(name);
    if (value === undefined) throw this.refuse(`has no ${name}`);
    return value;
  }

  text(): string {
    if (typeof this.raw !== "string") throw this.refuse("must be a string");
    return this.raw;
  }

  list(max: number): Value[] {
    if (!Array.isArray(this.raw)) throw this.refuse("must be a list");
    if (this.raw.length > max) {
      throw this.refuse(`has ${this.raw.length} entries: ${max} are the most`);
    }
    return this.raw.map((raw, i) => new Value(raw, this.source, `${this.path}[${i}]`));
  }

  texts(max: number): string[] {
    return this.list(max).map((value) => value.text());
  }

  keys(): string[] {
    return Object.keys(this.object());
  }

  /** Names with strings. */
  map(): Record<string, string> {
    const entries = Object.entries(this.object());
    for (const [, text] of entries) {
      if (typeof text !== "string") throw this.refuse("must have strings only");
    }
    return Object.fromEntries(entries) as Record<string, string>;
  }

  private object(): Record<string, unknown> {
    if (typeof this.raw !== "object" || this.raw === null || Array.isArray(this.raw)) {
      throw this.refuse("must be an object");
    }
    return this.raw as Record<string, unknown>;
  }
}
