import * as c from "./constants.ts";

// Names for the kernel's numbers, as nft(8) has them.

export const META_KEYS = {
  length: c.NFT_META_LEN,
  protocol: c.NFT_META_PROTOCOL,
  priority: c.NFT_META_PRIORITY,
  mark: c.NFT_META_MARK,
  iif: c.NFT_META_IIF,
  oif: c.NFT_META_OIF,
  iifname: c.NFT_META_IIFNAME,
  oifname: c.NFT_META_OIFNAME,
  skuid: c.NFT_META_SKUID,
  skgid: c.NFT_META_SKGID,
  nfproto: c.NFT_META_NFPROTO,
  l4proto: c.NFT_META_L4PROTO,
  pkttype: c.NFT_META_PKTTYPE,
  cgroup: c.NFT_META_CGROUP,
} as const;

/** What is known of a packet besides its bytes. */
export type MetaKey = keyof typeof META_KEYS;

export const CT_KEYS = {
  state: c.NFT_CT_STATE,
  direction: c.NFT_CT_DIRECTION,
  status: c.NFT_CT_STATUS,
  mark: c.NFT_CT_MARK,
} as const;

/** What conntrack knows of a packet. */
export type CtKey = keyof typeof CT_KEYS;

export const FIB_RESULTS = {
  oif: c.NFT_FIB_RESULT_OIF,
  oifname: c.NFT_FIB_RESULT_OIFNAME,
  type: c.NFT_FIB_RESULT_ADDRTYPE,
} as const;

/** What the routes are asked for: the link, its name, or the address's type (`RTN_*`: 2 is local). */
export type FibResult = keyof typeof FIB_RESULTS;

export const FIB_FLAGS = {
  saddr: c.NFTA_FIB_F_SADDR,
  daddr: c.NFTA_FIB_F_DADDR,
  mark: c.NFTA_FIB_F_MARK,
  iif: c.NFTA_FIB_F_IIF,
  oif: c.NFTA_FIB_F_OIF,
} as const;

/** By what the routes are asked. */
export type FibFlag = keyof typeof FIB_FLAGS;

export const PAYLOAD_BASES = {
  link: c.NFT_PAYLOAD_LL_HEADER,
  network: c.NFT_PAYLOAD_NETWORK_HEADER,
  transport: c.NFT_PAYLOAD_TRANSPORT_HEADER,
} as const;

export const COMPARISONS = {
  "==": c.NFT_CMP_EQ,
  "!=": c.NFT_CMP_NEQ,
  "<": c.NFT_CMP_LT,
  "<=": c.NFT_CMP_LTE,
  ">": c.NFT_CMP_GT,
  ">=": c.NFT_CMP_GTE,
} as const;

export const RANGE_COMPARISONS = { "==": c.NFT_RANGE_EQ, "!=": c.NFT_RANGE_NEQ } as const;

export const NAT_TYPES = { snat: c.NFT_NAT_SNAT, dnat: c.NFT_NAT_DNAT } as const;
export const NAT_FAMILIES = { ip: c.NFPROTO_IPV4, ip6: c.NFPROTO_IPV6 } as const;
export const NAT_FLAGS = {
  random: c.NF_NAT_RANGE_PROTO_RANDOM,
  "fully-random": c.NF_NAT_RANGE_PROTO_RANDOM_FULLY,
  persistent: c.NF_NAT_RANGE_PERSISTENT,
} as const;

export const REJECTS = {
  icmp: c.NFT_REJECT_ICMP_UNREACH,
  "tcp reset": c.NFT_REJECT_TCP_RST,
  icmpx: c.NFT_REJECT_ICMPX_UNREACH,
} as const;

export const LIMITS = { packets: c.NFT_LIMIT_PKTS, bytes: c.NFT_LIMIT_PKT_BYTES } as const;

/** The name of a number; undefined when it has none here. */
export function nameOf<T extends Record<string, number>>(
  table: T,
  number: number | undefined,
): Extract<keyof T, string> | undefined {
  for (const name in table) if (table[name] === number) return name;
  return undefined;
}

/** The names of the bits that are set. */
export function namesOf<T extends Record<string, number>>(table: T, bits: number): (keyof T)[] {
  return Object.keys(table).filter((name) => (bits & table[name]!) !== 0);
}

/** The bits of names. */
export function bitsOf<T extends Record<string, number>>(
  table: T,
  names: readonly (keyof T)[],
): number {
  return names.reduce((bits, name) => bits | table[name]!, 0);
}
