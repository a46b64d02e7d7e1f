import { CrateError } from "../../errors.ts";
import { type Address, formatSubnet } from "../address.ts";
import { Writer } from "../attributes.ts";
import { AF_INET, AF_INET6, AF_UNSPEC, NLM_F_CREATE, NLM_F_EXCL } from "../constants.ts";
import { type Message, type Request, splitBody } from "../message.ts";
import * as c from "./constants.ts";
import { given } from "../given.ts";
import { ifaddrmsg } from "./structs.ts";

const SCOPES = {
  universe: c.RT_SCOPE_UNIVERSE,
  site: c.RT_SCOPE_SITE,
  link: c.RT_SCOPE_LINK,
  host: c.RT_SCOPE_HOST,
  nowhere: c.RT_SCOPE_NOWHERE,
} as const;

/** How far an address or a route is valid, rtnetlink(7). */
export type Scope = keyof typeof SCOPES;

export function scopeNumber(scope: Scope): number {
  return SCOPES[scope];
}

/** A scope's name; numbers between those that have one belong to nobody. */
export function scopeName(number: number): Scope | number {
  const found = Object.entries(SCOPES).find(([, value]) => value === number);
  return found === undefined ? number : found[0] as Scope;
}

/** The number of an address's family. @throws {CrateError} `INVALID` for bytes that are neither 4 nor 16. */
export function familyOf(address: Uint8Array): number {
  if (address.length === 4) return AF_INET;
  if (address.length === 16) return AF_INET6;
  throw new CrateError("INVALID", `an address has 4 or 16 bytes, got ${address.length}`);
}

/** Refuses a prefix that an address has no room for. @throws {CrateError} `INVALID` */
export function checkPrefix(address: Uint8Array, prefix: number): number {
  const most = 8 * address.length;
  if (Number.isInteger(prefix) && prefix >= 0 && prefix <= most) return prefix;
  throw new CrateError(
    "INVALID",
    `a prefix must be a whole number from 0 to ${most}, got ${prefix}`,
  );
}

/** An address of a link. */
export interface LinkAddress {
  /** The link's number. */
  readonly index: number;
  readonly address: Address;
  /** How many bits the link's subnet has. */
  readonly prefix: number;
  readonly broadcast?: Address;
  /** IPv6: it is used at once, without asking the others whether they have it. */
  readonly noDad?: boolean;
  /** The kernel's own is `universe`. */
  readonly scope?: Scope;
}

/** An address of a link, as the kernel tells of it. */
export interface AddressEntry {
  readonly index: number;
  readonly address: Address;
  readonly prefix: number;
  readonly broadcast?: Address;
  readonly scope: Scope | number;
  /** The name under which old programs see it. */
  readonly label?: string;
  /** `IFA_F_*`, linux/if_addr.h. */
  readonly flags: number;
  /** IPv6: whether others have it is being asked, and nobody can use it yet. */
  readonly tentative: boolean;
}

/** Gives a link an address. @throws {CrateError} `INVALID` for one that is none. */
export function addAddress(options: LinkAddress): Request {
  return request("add", c.RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, options);
}

/** Takes an address from a link. @throws {CrateError} `INVALID` for one that is none. */
export function deleteAddress(options: LinkAddress): Request {
  return request("delete", c.RTM_DELADDR, 0, options);
}

function request(verb: string, type: number, flags: number, options: LinkAddress): Request {
  const { index, address, prefix, broadcast, noDad, scope = "universe" } = options;
  const w = new Writer().struct(ifaddrmsg, {
    ifa_family: familyOf(address),
    ifa_prefixlen: checkPrefix(address, prefix),
    ifa_scope: SCOPES[scope],
    ifa_index: index,
  });
  w.bytes(c.IFA_LOCAL, address).bytes(c.IFA_ADDRESS, address);
  if (broadcast !== undefined) w.bytes(c.IFA_BROADCAST, broadcast);
  if (noDad) w.u32(c.IFA_FLAGS, c.IFA_F_NODAD);
  const label = `${verb} the address ${formatSubnet({ address, prefix })}`;
  return { label, type, flags, body: w.finish() };
}

/** Asks for all addresses, or for those of one link. */
export function dumpAddresses(index = 0): Request {
  const body = new Writer().struct(ifaddrmsg, { ifa_family: AF_UNSPEC, ifa_index: index }).finish();
  return { label: "list the addresses", type: c.RTM_GETADDR, flags: 0, body };
}

/** Reads an address; undefined for one of another family. @throws {CrateError} `FAILED` for a malformed message. */
export function decodeAddress(message: Message): AddressEntry | undefined {
  const { head, attributes } = splitBody(message, ifaddrmsg.size);
  // With a point-to-point link IFA_ADDRESS is the other end's.
  const address = attributes.bytes(c.IFA_LOCAL) ?? attributes.bytes(c.IFA_ADDRESS);
  if (address === undefined || address.length !== 4 && address.length !== 16) return undefined;
  const flags = attributes.u32(c.IFA_FLAGS) ?? ifaddrmsg.get(head, "ifa_flags");
  return {
    index: ifaddrmsg.get(head, "ifa_index"),
    address,
    prefix: ifaddrmsg.get(head, "ifa_prefixlen"),
    scope: scopeName(ifaddrmsg.get(head, "ifa_scope")),
    flags,
    tentative: (flags & c.IFA_F_TENTATIVE) !== 0,
    ...given({
      broadcast: attributes.bytes(c.IFA_BROADCAST),
      label: attributes.text(c.IFA_LABEL),
    }),
  };
}
