import { CrateError } from "../../errors.ts";
import { Writer } from "../attributes.ts";
import { malformed } from "../errors.ts";
import { type Message, type Request, splitBody } from "../message.ts";
import { nfgenmsg } from "../nfnetlink.ts";
import * as c from "./constants.ts";

const FAMILIES = {
  inet: c.NFPROTO_INET,
  ip: c.NFPROTO_IPV4,
  ip6: c.NFPROTO_IPV6,
  arp: c.NFPROTO_ARP,
  bridge: c.NFPROTO_BRIDGE,
  netdev: c.NFPROTO_NETDEV,
} as const;

/** What packets a table sees, by nft's name: `inet` is `ip` and `ip6`. */
export type Family = keyof typeof FAMILIES;

/** A table, by its name. */
export interface TableName {
  readonly family: Family;
  readonly table: string;
}

/** A chain, by its names. */
export interface ChainName extends TableName {
  readonly chain: string;
}

/** A set or a map, by its names. */
export interface SetName extends TableName {
  readonly set: string;
}

/** The number of a family. */
export function familyNumber(family: Family): number {
  return FAMILIES[family];
}

/** The family of a message; undefined for one without a name here. */
export function familyName(number: number): Family | undefined {
  return Object.entries(FAMILIES).find(([, value]) => value === number)?.[0] as Family | undefined;
}

/** A request of nf_tables. */
export function nftRequest(
  label: string,
  message: number,
  flags: number,
  family: Family | undefined,
  body: (writer: Writer) => void,
): Request {
  const nfgen_family = family === undefined ? c.NFPROTO_UNSPEC : FAMILIES[family];
  const w = new Writer().struct(nfgenmsg, { nfgen_family });
  body(w);
  return { label, type: c.NFNL_SUBSYS_NFTABLES << 8 | message, flags, body: w.finish() };
}

/** The longest name of a table, chain or set, `NFT_NAME_MAXLEN` without its NUL: bytes. */
const MAX_NAME = 255;

/** Refuses what the kernel would. @throws {CrateError} `INVALID` */
export function checkName(what: string, name: string): string {
  if (name !== "" && name.length <= MAX_NAME && !name.includes("\0")) return name;
  const said = JSON.stringify(name.slice(0, 2 * MAX_NAME));
  throw new CrateError("INVALID", `${said} is no name of a ${what}: 1 to ${MAX_NAME} bytes`);
}

/** A message's family and attributes. @throws {CrateError} `FAILED` for one that is malformed. */
export function readMessage(message: Message) {
  const { head, attributes } = splitBody(message, nfgenmsg.size);
  return { family: familyName(nfgenmsg.get(head, "nfgen_family")), attributes };
}

/** What must be in an answer. @throws {CrateError} `FAILED` when it is not. */
export function required<T>(what: string, value: T | undefined): T {
  if (value === undefined) throw malformed(`${what} is missing`);
  return value;
}
