type FieldType = "u8" | "u16" | "u32" | "i32" | "u64" | "i64";
const SIZES: Record<FieldType, number> = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, i64: 8 };

/** A struct's fields, in the header's order and with the header's types. */
export type Fields = Record<string, FieldType>;

/** Values for some of a struct's fields; the others are zero. */
export type Values<F extends Fields> = { readonly [K in keyof F]?: number | bigint };

/** A C struct: where each field lies, laid out by C's alignment rules. */
export class Layout<F extends Fields> {
  readonly size: number;
  readonly #offsets: Map<keyof F, number>;

  constructor(readonly name: string, readonly fields: F) {
    this.#offsets = new Map();
    let at = 0;
    let widest = 1;
    for (const field in fields) {
      const size = SIZES[fields[field]!];
      at = Math.ceil(at / size) * size;
      this.#offsets.set(field, at);
      at += size;
      if (size > widest) widest = size;
    }
    this.size = Math.ceil(at / widest) * widest;
  }

  /** The offset of a field, in bytes. */
  offset(field: keyof F): number {
    return this.#offsets.get(field)!;
  }

  /** The bytes of a struct with these values. */
  pack(values: Values<F>): Uint8Array<ArrayBuffer> {
    const view = new DataView(new ArrayBuffer(this.size));
    this.write(view, 0, values);
    return new Uint8Array(view.buffer);
  }

  /** Writes the fields that have values; the others stay as they are. */
  write(view: DataView, base: number, values: Values<F>): void {
    for (const field in values) {
      const at = base + this.#offsets.get(field)!;
      const value = values[field]!;
      const size = SIZES[this.fields[field]!];
      if (size === 8) {
        if (typeof value === "bigint") view.setBigUint64(at, BigInt.asUintN(64, value), true);
        else {
          view.setInt32(at, value | 0, true);
          view.setInt32(at + 4, Math.floor(value / 4294967296), true);
        }
      } else if (size === 4) view.setUint32(at, Number(value), true);
      else if (size === 2) view.setUint16(at, Number(value), true);
      else view.setUint8(at, Number(value));
    }
  }

  /** One field of a struct, as a number; a 64-bit value must be under 2^53. */
  get(bytes: Uint8Array, field: keyof F): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const at = this.#offsets.get(field)!;
    switch (this.fields[field]) {
      case "u8":
        return view.getUint8(at);
      case "u16":
        return view.getUint16(at, true);
      case "u32":
        return view.getUint32(at, true);
      case "i32":
        return view.getInt32(at, true);
      case "u64":
        return Number(view.getBigUint64(at, true));
      default:
        return Number(view.getBigInt64(at, true));
    }
  }
}
