import { CrateError } from "../errors.ts";
import {
  addressAt,
  contains,
  formatAddress,
  formatSubnet,
  overlaps,
  parseAddress,
  parseSubnet,
} from "../netlink/mod.ts";
import type { Subnet } from "./types.ts";

/** A range of addresses as bytes; what `parseSubnet` gives. */
export type Range = NonNullable<ReturnType<typeof parseSubnet>>;

/** Where the default network's addresses come from, when nothing else is said and nobody has them. */
const FIRST_POOL = ["10.90.0.0/16", "10.91.0.0/16", "172.29.0.0/16", "192.168.208.0/20"];
/** … and those of the networks that people make: of 256 addresses each. */
const POOLS = [["10.92.", 0], ["10.93.", 0], ["172.30.", 0], ["192.168.", 160]] as const;

/** Where no network's addresses are: this host's own, one link's, or a group's. RFC 6890, RFC 5771, RFC 4291 */
const SPECIAL = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/8", "fe80::/10", "ff00::/8"]
  .map((text) => parseSubnet(text)!);

/** A subnet by any address in it. @throws {CrateError} `INVALID` naming where it stands. */
export function readSubnet(text: string, where: string): Range {
  const range = parseSubnet(text);
  const most = range?.address.length === 4 ? 30 : 126;
  if (range !== undefined && range.prefix > 0 && range.prefix <= most) {
    if (isFree(range, SPECIAL)) return { ...range, address: addressAt(range, 0n)! };
    throw new CrateError("INVALID", `${where} ${text}: these addresses are not for networks`);
  }
  throw new CrateError(
    "INVALID",
    `${where} ${text}: a subnet is an address and the length of its prefix, at most ${most} ` +
      "bits, such as 10.91.4.0/24 or fd00:4::/64",
  );
}

/** The network's own address, and the last of IPv4, are nobody's. */
export function lastOffset({ address, prefix }: Range): bigint {
  const bits = BigInt(8 * address.length - prefix);
  return address.length === 4 ? (1n << bits) - 2n : (1n << bits) - 1n;
}

/** A subnet with its gateway: the first address when none is named. @throws {CrateError} `INVALID` */
export function subnetOf(text: string, gateway: string | undefined, where: string): Subnet {
  const range = readSubnet(text, where);
  const subnet = formatSubnet(range);
  if (gateway === undefined) return { subnet, gateway: formatAddress(addressAt(range, 1n)!) };
  const address = parseAddress(gateway);
  const fits = address !== undefined && contains(range, address) && isUsable(range, address);
  if (!fits) throw new CrateError("INVALID", `--gateway ${gateway} is no address of ${subnet}`);
  return { subnet, gateway: formatAddress(address) };
}

/** Whether an address of a range can be somebody's. */
export function isUsable(range: Range, address: Uint8Array): boolean {
  const offset = offsetOf(range, address);
  return offset > 0n && offset <= lastOffset(range);
}

/** How far an address is from the beginning of its range. */
export function offsetOf(range: Range, address: Uint8Array): bigint {
  const number = (bytes: Uint8Array) => bytes.reduce((sum, byte) => sum << 8n | BigInt(byte), 0n);
  return number(address) - number(addressAt(range, 0n)!);
}

/** What is taken: routes of the host, and other networks. */
const isFree = (range: Range, taken: readonly Range[]) =>
  taken.every((each) =>
    each.address.length !== range.address.length || each.prefix === 0 || !overlaps(each, range)
  );

function free(candidates: Iterable<string>, taken: readonly Range[]): Subnet {
  for (const text of candidates) {
    if (isFree(parseSubnet(text)!, taken)) return subnetOf(text, undefined, "");
  }
  throw new CrateError(
    "FAILED",
    "no subnet is free: all that crate would take overlap routes of this host; " +
      "name one (crate network create --subnet, or network.subnet of the configuration)",
  );
}

/** Addresses for the default network. @throws {CrateError} when none are free. */
export function chooseDefault(taken: readonly Range[]): Subnet {
  return free([...FIRST_POOL, ...pool()], taken);
}

/** Addresses for a network that is made without any. @throws {CrateError} when none are free. */
export function chooseSubnet(taken: readonly Range[]): Subnet {
  return free(pool(), taken);
}

function* pool(): Iterable<string> {
  for (const [start, from] of POOLS) {
    for (let third = from; third < (from === 0 ? 256 : 192); third++) yield `${start}${third}.0/24`;
  }
}

/**
 * Unique local addresses that nobody else is likely to have: fd00::/8 with 40 random bits, and the first
 * subnet of them. RFC 4193, section 3.2
 */
export function chooseUnique(random: Uint8Array, taken: readonly Range[]): Subnet {
  const address = new Uint8Array(16);
  address[0] = 0xfd;
  address.set(random.subarray(0, 5), 1);
  return free([`${formatAddress(address)}/64`], taken);
}

/** @throws {CrateError} `INVALID` when addresses that somebody asked for are somebody's. */
export function requireFree(range: Range, taken: readonly Range[], where: string): void {
  const other = taken.find((each) => !isFree(range, [each]));
  if (other === undefined) return;
  throw new CrateError(
    "INVALID",
    `${where} ${formatSubnet(range)} overlaps ${
      formatSubnet(other)
    }, which this host or another network uses`,
  );
}
