/**
 * A value as D-Bus has it, without its type: numbers of 64 bits (`x`, `t`) are bigints, structures are
 * arrays of their fields, dictionaries arrays of pairs, arrays of bytes (`ay`) byte arrays.
 */
export type Value =
  | boolean
  | number
  | bigint
  | string
  | Uint8Array<ArrayBuffer>
  | Variant
  | readonly Value[];

/** A value and its type. */
export interface Variant {
  readonly signature: string;
  readonly value: Value;
}

/** Whether a value is one with a type of its own. */
export function isVariant(value: Value): value is Variant {
  return typeof value === "object" && "signature" in value;
}
