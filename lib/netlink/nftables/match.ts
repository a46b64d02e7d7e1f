import { maskAddress, prefixMask, type Subnet } from "../address.ts";
import * as c from "./constants.ts";
import type { Comparison, Expression, Load, Meta, Payload, Register } from "./expression.ts";
import type { MetaKey } from "./keys.ts";
import { type DataTypeName, encodeValue, type Value } from "./types.ts";

// What rules are mostly made of, by the names that nft(8) has for it.

/** Loads what is known of a packet. */
export function meta(key: MetaKey, register: Register = 0): Meta {
  return { kind: "meta", key, register };
}

function field(base: Payload["base"], offset: number, length: number) {
  return (register: Register = 0): Payload => ({ kind: "payload", base, offset, length, register });
}

/** Fields of the IPv4 header, RFC 791. */
export const ip = {
  protocol: field("network", 9, 1),
  saddr: field("network", 12, 4),
  daddr: field("network", 16, 4),
} as const;

/** Fields of the IPv6 header, RFC 8200. */
export const ip6 = {
  nexthdr: field("network", 6, 1),
  saddr: field("network", 8, 16),
  daddr: field("network", 24, 16),
} as const;

/** Fields that the headers of TCP, UDP, SCTP and DCCP begin with. */
export const th = {
  sport: field("transport", 0, 2),
  dport: field("transport", 2, 2),
} as const;

/** Compares a value that is loaded. */
export function compareWith(load: Load, op: Comparison, value: Uint8Array): Expression[] {
  return [load, { kind: "cmp", register: load.register, op, value }];
}

/** A value that is loaded must be this one. @throws {CrateError} `INVALID` for a value that is not of the type. */
export function is(load: Load, type: DataTypeName, value: Value): Expression[] {
  return compareWith(load, "==", encodeValue(type, value));
}

/** A value that is loaded must not be this one. @throws {CrateError} `INVALID` for a value that is not of the type. */
export function isNot(load: Load, type: DataTypeName, value: Value): Expression[] {
  return compareWith(load, "!=", encodeValue(type, value));
}

/** A number that is loaded, in network byte order, must be one of a range, both ends of which belong to it. */
export function between(load: Load, from: Uint8Array, to: Uint8Array): Expression[] {
  const { register } = load;
  return [
    load,
    { kind: "cmp", register, op: ">=", value: from },
    { kind: "cmp", register, op: "<=", value: to },
  ];
}

/** One of the bits must be set, of a number of 32 bits in the machine's order: states and statuses of conntrack. */
export function hasAny(load: Load, bits: number): Expression[] {
  const { register } = load;
  const mask = encodeValue("mark", bits);
  const zero = new Uint8Array(4);
  return [
    load,
    { kind: "bitwise", source: register, register, mask, xor: zero },
    { kind: "cmp", register, op: "!=", value: zero },
  ];
}

/** An address that is loaded must be of a subnet, or with `!=` must not. */
export function inSubnet(load: Payload, subnet: Subnet, op: "==" | "!=" = "=="): Expression[] {
  const { register } = load;
  const { address, prefix } = subnet;
  const size = address.length;
  const mask = prefixMask(prefix, size);
  return [
    load,
    ...prefix === 8 * size
      ? []
      : [{ kind: "bitwise", source: register, register, mask, xor: new Uint8Array(size) } as const],
    { kind: "cmp", register, op, value: maskAddress(subnet) },
  ];
}

/** A table of the family `inet` sees both: the packet must be IPv4, or IPv6. */
export function isFamily(family: "ip" | "ip6"): Expression[] {
  return is(meta("nfproto"), "nf_proto", family === "ip" ? 2 : 10);
}

/** The destination must be an address of this host. */
export function isLocalDestination(register: Register = 0): Expression[] {
  const load: Load = { kind: "fib", result: "type", flags: ["daddr"], register };
  return is(load, "fib_addrtype", 2);
}

/** What becomes of the packet. */
export const accept: Expression = { kind: "verdict", verdict: "accept" };
export const drop: Expression = { kind: "verdict", verdict: "drop" };

/** Goes to another chain, and comes back at its end. */
export function jump(chain: string): Expression {
  return { kind: "verdict", verdict: { jump: chain } };
}

/** States of a connection, as nf_tables numbers them: linux/netfilter/nf_conntrack_common.h. */
export const CT_STATES = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const;
/** What has been done with a connection, conntrack's status. */
export const CT_STATUSES = {
  seenReply: c.IPS_SEEN_REPLY,
  assured: c.IPS_ASSURED,
  confirmed: c.IPS_CONFIRMED,
  snat: c.IPS_SRC_NAT,
  dnat: c.IPS_DST_NAT,
} as const;
