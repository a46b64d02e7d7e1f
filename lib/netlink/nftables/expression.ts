import type { CtKey, FibFlag, FibResult, MetaKey } from "./keys.ts";
import type { Verdict } from "./data.ts";

/**
 * One of the sixteen registers of 32 bits, 0 to 15. A value takes as many as it needs from there on: an IPv6 address or
 * a name of an interface four. Concatenated values lie one behind the other, each from a register's beginning.
 */
export type Register = number;

/** How a value is compared. */
export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=";

/** `random`: any port; `fully-random`: none that can be guessed; `persistent`: the same address for the same client. */
export type NatFlag = "random" | "fully-random" | "persistent";

/** Why: an ICMP message of the packet's family, one of any family, or the end of a TCP connection. */
export type RejectWith = "icmp" | "icmpx" | "tcp reset";

/** Registers with the first and the last port to choose from. */
interface Ports {
  readonly port?: Register;
  readonly portEnd?: Register;
  readonly flags?: readonly NatFlag[];
}

/** Loads what is known of a packet besides its bytes. */
export interface Meta {
  readonly kind: "meta";
  readonly key: MetaKey;
  readonly register: Register;
}

/** Loads bytes of a packet. */
export interface Payload {
  readonly kind: "payload";
  /** The header of the link, of the network, or of the transport. */
  readonly base: "link" | "network" | "transport";
  /** Bytes. */
  readonly offset: number;
  readonly length: number;
  readonly register: Register;
}

/** Loads what conntrack knows of a packet. */
export interface Conntrack {
  readonly kind: "ct";
  readonly key: CtKey;
  readonly register: Register;
}

/** Loads what the routes say of a packet's addresses. */
export interface Fib {
  readonly kind: "fib";
  readonly result: FibResult;
  readonly flags: readonly FibFlag[];
  readonly register: Register;
}

/** An expression that loads a value. */
export type Load = Meta | Payload | Conntrack | Fib;

/**
 * A step of a rule, libnftnl's and the kernel's `nft_expr`. Those that compare end the rule for a packet that does not
 * agree.
 */
export type Expression =
  | Load
  /** Gives the packet, or its connection, a mark. */
  | { readonly kind: "metaSet"; readonly key: MetaKey; readonly register: Register }
  | { readonly kind: "ctSet"; readonly key: CtKey; readonly register: Register }
  | {
    readonly kind: "cmp";
    readonly register: Register;
    readonly op: Comparison;
    readonly value: Uint8Array;
  }
  /** Compares with both ends of a range, which belong to it. */
  | {
    readonly kind: "range";
    readonly register: Register;
    readonly op: "==" | "!=";
    readonly from: Uint8Array;
    readonly to: Uint8Array;
  }
  /** `(source & mask) ^ xor`; all are of one length. */
  | {
    readonly kind: "bitwise";
    readonly source: Register;
    readonly register: Register;
    readonly mask: Uint8Array;
    readonly xor: Uint8Array;
  }
  | {
    readonly kind: "lookup";
    readonly set: string;
    /** The set's id, where it was made in the same transaction under a name that the kernel chose. */
    readonly setId?: number;
    readonly register: Register;
    /** The rule goes on for what is not in the set. */
    readonly inverted?: boolean;
    /** Where a map's value goes; `verdict` for a map of verdicts. */
    readonly into?: Register | "verdict";
  }
  | { readonly kind: "immediate"; readonly register: Register; readonly value: Uint8Array }
  | { readonly kind: "verdict"; readonly verdict: Verdict }
  | {
    readonly kind: "nat";
    readonly type: "dnat" | "snat";
    readonly family: "ip" | "ip6";
    readonly address?: Register;
    readonly addressEnd?: Register;
  } & Ports
  | { readonly kind: "masquerade" } & Ports
  | { readonly kind: "redirect" } & Ports
  /** `code` is the ICMP message's; 3 of `icmp` is an unreachable port, 1 of `icmpx`. */
  | { readonly kind: "reject"; readonly with: RejectWith; readonly code?: number }
  | { readonly kind: "counter"; readonly packets?: bigint; readonly bytes?: bigint }
  /** Goes on for so many in so many seconds; with `over` for those above. */
  | {
    readonly kind: "limit";
    readonly of: "packets" | "bytes";
    readonly rate: number;
    /** Seconds. */
    readonly per: number;
    readonly burst?: number;
    readonly over?: boolean;
  }
  /** To the kernel's log, or to who listens to a group of netlink's. */
  | {
    readonly kind: "log";
    readonly prefix?: string;
    /** syslog(3): 4 is a warning, 6 an information. */
    readonly level?: number;
    readonly group?: number;
  }
  | { readonly kind: "notrack" }
  /** Any other one, as the kernel shows it; it cannot be sent. */
  | { readonly kind: "unknown"; readonly name: string };
