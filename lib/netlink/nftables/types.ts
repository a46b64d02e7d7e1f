import { encodeText } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { checkLinkName } from "../link_name.ts";

// Types of values: the kernel knows their lengths alone; the numbers are nft(8)'s own (its
// include/datatype.h), by which it prints what is in a set.

interface DataType {
  /** nft's number. */
  readonly number: number;
  /** Bytes. */
  readonly size: number;
  /** Numbers are in network byte order, or in the machine's. */
  readonly order: "big" | "host";
}

/** The names of nft(8), and what nft calls the type's number. */
const TYPES = {
  nf_proto: { number: 2, size: 1, order: "host" },
  ipv4_addr: { number: 7, size: 4, order: "big" },
  ipv6_addr: { number: 8, size: 16, order: "big" },
  ether_addr: { number: 9, size: 6, order: "big" },
  ether_type: { number: 10, size: 2, order: "big" },
  inet_proto: { number: 12, size: 1, order: "big" },
  inet_service: { number: 13, size: 2, order: "big" },
  icmp_type: { number: 14, size: 1, order: "big" },
  mark: { number: 19, size: 4, order: "host" },
  iface_index: { number: 20, size: 4, order: "host" },
  ct_state: { number: 26, size: 4, order: "host" },
  ct_status: { number: 28, size: 4, order: "host" },
  fib_addrtype: { number: 38, size: 4, order: "host" },
  ifname: { number: 41, size: 16, order: "host" },
} as const satisfies Record<string, DataType>;

/** A type of values, by nft's name. */
export type DataTypeName = keyof typeof TYPES;

/**
 * A value: bytes as they are on the wire; a number for what is one (ports, protocols, marks); a text for names of
 * interfaces.
 */
export type Value = Uint8Array | number | string;

/** How many bytes a concatenation of types takes: each begins at a multiple of four. */
export function sizeOf(types: readonly DataTypeName[]): number {
  if (types.length === 1) return TYPES[types[0]!].size;
  return fieldSizes(types).reduce((sum, size) => sum + (size + 3 & ~3), 0);
}

/** How many bytes each type takes. */
export function fieldSizes(types: readonly DataTypeName[]): number[] {
  return types.map((name) => TYPES[name].size);
}

/** nft's number for a concatenation: six bits a type. */
export function typeNumber(types: readonly DataTypeName[]): number {
  return types.reduce((number, name) => number * 64 + TYPES[name].number, 0);
}

/** What nft calls the order of a type's bytes, in the userdata of sets: it knows none for a concatenation. */
export function byteOrder(types: readonly DataTypeName[]): number {
  if (types.length !== 1) return 0;
  return TYPES[types[0]!].order === "host" ? 1 : 2;
}

/** The types of nft's number; undefined when one is not known here. */
export function typesOf(number: number): DataTypeName[] | undefined {
  const found: DataTypeName[] = [];
  for (let rest = number; rest > 0; rest = Math.floor(rest / 64)) {
    const name = Object.entries(TYPES).find(([, type]) => type.number === rest % 64)?.[0];
    if (name === undefined) return undefined;
    found.unshift(name as DataTypeName);
  }
  return found.length === 0 ? undefined : found;
}

/** The bytes of a value. @throws {CrateError} `INVALID` for one that is not of the type. */
export function encodeValue(name: DataTypeName, value: Value): Uint8Array<ArrayBuffer> {
  const { size, order } = TYPES[name];
  const bytes = new Uint8Array(size);
  if (typeof value === "string") {
    if (name !== "ifname") throw wrong(name, value);
    bytes.set(encodeText(checkLinkName(value)));
  } else if (typeof value === "number") {
    if (size > 4 || !Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) {
      throw wrong(name, value);
    }
    for (let i = 0; i < size; i++) {
      bytes[order === "big" ? size - 1 - i : i] = value / 2 ** (8 * i) & 0xff;
    }
  } else {
    if (value.length !== size) throw wrong(name, `${value.length} bytes`);
    bytes.set(value);
  }
  return bytes;
}

function wrong(name: DataTypeName, value: string | number): CrateError {
  return new CrateError(
    "INVALID",
    `nftables: ${JSON.stringify(value)} is no ${name}: it has ${TYPES[name].size} bytes`,
  );
}

/** The bytes of one value for each type, as a set or registers have them. @throws {CrateError} `INVALID` */
export function encodeValues(
  types: readonly DataTypeName[],
  values: Value | readonly Value[],
): Uint8Array<ArrayBuffer> {
  const list = Array.isArray(values) ? values as readonly Value[] : [values as Value];
  if (list.length !== types.length) {
    throw new CrateError(
      "INVALID",
      `nftables: ${list.length} values for ${types.length} types (${types.join(" . ")})`,
    );
  }
  const bytes = new Uint8Array(sizeOf(types));
  let at = 0;
  types.forEach((name, i) => {
    bytes.set(encodeValue(name, list[i]!), at);
    at += TYPES[name].size + 3 & ~3;
  });
  return bytes;
}

/** The values in bytes, of which each is a copy. */
export function splitValues(
  types: readonly DataTypeName[],
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer>[] {
  let at = 0;
  return types.map((name) => {
    const { size } = TYPES[name];
    const value = bytes.slice(at, at + size);
    at += size + 3 & ~3;
    return value;
  });
}
