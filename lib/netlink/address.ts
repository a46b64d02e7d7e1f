/**
 * Addresses of IPv4 and IPv6 as bytes in network order, 4 or 16, and subnets of them.
 *
 * @module
 */
import { CrateError } from "../errors.ts";

/** Four or sixteen bytes, in network order. */
export type Address = Uint8Array<ArrayBuffer>;

/** The addresses that agree with one in their first bits. */
export interface Subnet {
  readonly address: Address;
  /** How many bits: 0 to 32, or to 128. */
  readonly prefix: number;
}

/**
 * An address from its text: RFC 4291 section 2.2 for IPv6, an embedded IPv4 address at its end included; for IPv4
 * four decimal numbers without leading zeros, which some read as octal.
 *
 * @returns undefined for what is none.
 *
 * @example
 * ```ts
 * import { formatAddress, parseAddress } from "./address.ts";
 * if (parseAddress("10.1.2.3")?.length !== 4) throw new Error();
 * if (formatAddress(parseAddress("FD00:0:0::1")!) !== "fd00::1") throw new Error();
 * if (parseAddress("10.1.2") !== undefined) throw new Error();
 * ```
 */
export function parseAddress(text: string): Address | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Address | undefined {
  const parts = text.split(".", 5);
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    const part = parts[i]!;
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    bytes[i] = Number(part);
  }
  return bytes;
}

/** The longest text of an address: eight groups, the last two as IPv4. */
const MAX_TEXT = 45;

function parseIpv6(text: string): Address | undefined {
  if (text.length > MAX_TEXT) return undefined;
  const halves = text.split("::", 3);
  if (halves.length > 2) return undefined;
  const head = groups(halves[0]!, halves.length === 1);
  const tail = groups(halves[1] ?? "", true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  // "::" stands for one group at least.
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const bytes = new Uint8Array(16);
  head.forEach((group, i) => bytes.set([group >> 8, group & 0xff], 2 * i));
  tail.forEach((group, i) => bytes.set([group >> 8, group & 0xff], 16 - 2 * (tail.length - i)));
  return bytes;
}

function groups(text: string, isLast: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const found: number[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (part.includes(".")) {
      const embedded = isLast && i === parts.length - 1 ? parseIpv4(part) : undefined;
      if (embedded === undefined) return undefined;
      const [a, b, c, d] = embedded as unknown as [number, number, number, number];
      found.push(a << 8 | b, c << 8 | d);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return undefined;
      found.push(parseInt(part, 16));
    }
  }
  return found;
}

/**
 * The text of an address; IPv6 as RFC 5952 wants it: lower case, without leading zeros, the longest run of two zero
 * groups or more as `::` (the first of equals), IPv4-mapped addresses with the IPv4 address as such.
 *
 * @throws {CrateError} `INVALID` for bytes that are neither 4 nor 16.
 */
export function formatAddress(address: Uint8Array): string {
  if (address.length === 4) return address.join(".");
  if (address.length !== 16) {
    throw new CrateError("INVALID", `an address has 4 or 16 bytes, got ${address.length}`);
  }
  const all = Array.from({ length: 8 }, (_, i) => address[2 * i]! << 8 | address[2 * i + 1]!);
  if (all.slice(0, 5).every((group) => group === 0) && all[5] === 0xffff) {
    return `::ffff:${address.subarray(12).join(".")}`;
  }
  const [start, length] = longestZeros(all);
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return hex(all);
  return `${hex(all.slice(0, start))}::${hex(all.slice(start + length))}`;
}

function longestZeros(all: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  for (let start = 0; start < all.length; start++) {
    let end = start;
    while (all[end] === 0) end++;
    if (end - start > best[1]) best = [start, end - start];
  }
  return best;
}

/**
 * A subnet from its text. Bits after the prefix stay as they are, {@linkcode maskAddress} clears them.
 *
 * @returns undefined for what is none.
 */
export function parseSubnet(text: string): Subnet | undefined {
  const slash = text.indexOf("/");
  const address = slash < 0 ? undefined : parseAddress(text.slice(0, slash));
  const bits = text.slice(slash + 1);
  if (address === undefined || !/^(0|[1-9]\d{0,2})$/.test(bits)) return undefined;
  const prefix = Number(bits);
  return prefix > 8 * address.length ? undefined : { address, prefix };
}

/** The text of a subnet: `10.1.0.0/16`. */
export function formatSubnet({ address, prefix }: Subnet): string {
  return `${formatAddress(address)}/${prefix}`;
}

/** The address with all bits after the prefix cleared: the subnet's first. */
export function maskAddress({ address, prefix }: Subnet): Address {
  return address.map((byte, i) => byte & byteMask(prefix, i)) as Address;
}

/** The mask of a prefix: 16 bits of 4 bytes are `255.255.0.0`. */
export function prefixMask(prefix: number, size: number): Address {
  return new Uint8Array(size).map((_, i) => byteMask(prefix, i)) as Address;
}

function byteMask(prefix: number, index: number): number {
  return 0xff00 >> Math.min(8, Math.max(0, prefix - 8 * index)) & 0xff;
}

/** Whether an address is one of a subnet; one of the other family is not. */
export function contains({ address, prefix }: Subnet, other: Uint8Array): boolean {
  return address.length === other.length &&
    address.every((byte, i) => ((byte ^ other[i]!) & byteMask(prefix, i)) === 0);
}

/** Whether two subnets have an address in common: one is then a part of the other. */
export function overlaps(a: Subnet, b: Subnet): boolean {
  return contains(a.prefix <= b.prefix ? a : b, a.prefix <= b.prefix ? b.address : a.address);
}

/** How many addresses a subnet has. */
export function subnetSize({ address, prefix }: Subnet): bigint {
  return 1n << BigInt(8 * address.length - prefix);
}

/**
 * An address of a subnet by its number, from 0; a negative one counts from the end, -1 is the last: an IPv4 subnet's broadcast address.
 *
 * @returns undefined outside of the subnet.
 *
 * @example
 * ```ts
 * import { addressAt, formatAddress, parseSubnet } from "./address.ts";
 * const subnet = parseSubnet("10.1.0.0/16")!;
 * if (formatAddress(addressAt(subnet, 1n)!) !== "10.1.0.1") throw new Error();
 * if (formatAddress(addressAt(subnet, -1n)!) !== "10.1.255.255") throw new Error();
 * ```
 */
export function addressAt(subnet: Subnet, offset: bigint): Address | undefined {
  const size = subnetSize(subnet);
  const index = offset < 0n ? size + offset : offset;
  if (index < 0n || index >= size) return undefined;
  const bytes = maskAddress(subnet);
  let rest = index;
  for (let i = bytes.length - 1; i >= 0 && rest > 0n; i--) {
    bytes[i]! |= Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** The inverse of {@linkcode addressAt}: an address's number in its subnet; undefined outside. */
export function offsetOf(subnet: Subnet, address: Uint8Array): bigint | undefined {
  if (!contains(subnet, address)) return undefined;
  let offset = 0n;
  address.forEach((byte, i) => {
    offset = offset << 8n | BigInt(byte & ~byteMask(subnet.prefix, i));
  });
  return offset;
}

/** A hardware address from its text: six pairs of hexadecimal digits between colons. */
export function parseMac(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) return undefined;
  return new Uint8Array(text.split(":").map((pair) => parseInt(pair, 16)));
}

/** The text of a hardware address: `02:42:0a:01:00:02`. */
export function formatMac(address: Uint8Array): string {
  return Array.from(address, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}
