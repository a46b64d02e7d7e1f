import { parseSubnet, type Request } from "../netlink/mod.ts";
import {
  accept,
  addChain,
  addRule,
  addSet,
  addTable,
  CT_STATES,
  CT_STATUSES,
  type DataTypeName,
  drop,
  type Expression,
  hasAny,
  type Hook,
  inSubnet,
  ip,
  ip6,
  isFamily,
  isLocalDestination,
  jump,
  meta,
  type SetDefinition,
  th,
} from "../netlink/nftables/mod.ts";

// The rules of crate's table. They never change while it runs: what changes is in the sets.

/** What the table's comment says: another shape of the rules has another number, and they are made anew. */
export const SHAPE = "crate 2";

const FAMILY = "inet";
/** nft(8), "Priorities". */
const DSTNAT = -100;
const SRCNAT = 100;
const RAW = -300;
const FILTER = 0;

/** The sets and maps of the table. */
export const SETS = {
  bridges: { keyType: "ifname" },
  internal: { keyType: "ifname" },
  same: { keyType: ["ifname", "ifname"] },
  subnets4: { keyType: "ipv4_addr", interval: true },
  subnets6: { keyType: "ipv6_addr", interval: true },
  ports4: { keyType: ["inet_proto", "inet_service"], dataType: ["ipv4_addr", "inet_service"] },
  ports4_at: {
    keyType: ["ipv4_addr", "inet_proto", "inet_service"],
    dataType: ["ipv4_addr", "inet_service"],
  },
  ports6: { keyType: ["inet_proto", "inet_service"], dataType: ["ipv6_addr", "inet_service"] },
  ports6_at: {
    keyType: ["ipv6_addr", "inet_proto", "inet_service"],
    dataType: ["ipv6_addr", "inet_service"],
  },
} as const satisfies Record<
  string,
  Pick<SetDefinition, "keyType" | "dataType" | "interval">
>;

/** A set's name. */
export type SetKey = keyof typeof SETS;

/** Every set's name. */
export const SET_NAMES = Object.keys(SETS) as readonly SetKey[];

/** A set of a table. */
export function setOf(table: string, set: SetKey): SetDefinition {
  const types: {
    keyType: DataTypeName | readonly DataTypeName[];
    dataType?: readonly DataTypeName[];
    interval?: boolean;
  } = SETS[set];
  return { family: FAMILY, table, set, ...types };
}

/** The table by its name. */
export function tableOf(table: string): { family: typeof FAMILY; table: string } {
  return { family: FAMILY, table };
}

const CHAINS: Readonly<Record<string, Hook | undefined>> = {
  publish: undefined,
  raw: { type: "filter", hook: "prerouting", priority: RAW },
  prerouting: { type: "nat", hook: "prerouting", priority: DSTNAT },
  output: { type: "nat", hook: "output", priority: DSTNAT },
  forward: { type: "filter", hook: "forward", priority: FILTER },
  postrouting: { type: "nat", hook: "postrouting", priority: SRCNAT },
};

const isIn = (set: SetKey, register = 0): Expression => ({ kind: "lookup", set, register });
const isNotIn = (set: SetKey, register = 0): Expression => ({
  kind: "lookup",
  set,
  register,
  inverted: true,
});
const fromBridge = [meta("iifname"), isIn("bridges")];
const toBridge = [meta("oifname"), isIn("bridges")];
const notToBridge = [meta("oifname"), isNotIn("bridges")];
const masquerade: Expression = { kind: "masquerade" };

/** The header's addresses and the names of its sets, for both families. */
const FAMILIES = [
  { family: "ip", four: "4", header: ip, loopback: "127.0.0.0/8", registers: 1 },
  { family: "ip6", four: "6", header: ip6, loopback: "::1/128", registers: 4 },
] as const;

/**
 * Where a packet to a port of this host goes: looked up by address, protocol and port, then by protocol and port.
 * The loopback's IPv6 address is nobody's on another interface, whatever a rule says: it is left alone.
 */
function publish(): [string, Expression[]][] {
  return FAMILIES.flatMap(({ family, four, header, loopback, registers: size }) => {
    const before: Expression[] = [
      ...isFamily(family),
      ...family === "ip6" ? inSubnet(header.daddr(), parseSubnet(loopback)!, "!=") : [],
    ];
    // A value begins at a register; an address of IPv6 takes four, and a port the one behind it.
    const port = [meta("l4proto", size), th.dport(size + 1)];
    const nat: Expression = { kind: "nat", type: "dnat", family, address: 0, port: size };
    const at = { kind: "lookup", set: `ports${four}_at`, register: 0, into: 0 } as const;
    const everywhere = { kind: "lookup", set: `ports${four}`, register: size, into: 0 } as const;
    return [
      [`${family}: a port of one address`, [...before, header.daddr(0), ...port, at, nat]],
      [`${family}: a port of any address`, [...before, ...port, everywhere, nat]],
    ] as [string, Expression[]][];
  });
}

function postrouting(): [string, Expression[]][] {
  return FAMILIES.flatMap(({ family, four, header, loopback }) => {
    const own: Expression[] = [
      ...isFamily(family),
      header.saddr(),
      isIn(`subnets${four}`),
    ];
    const local = family === "ip"
      ? [[`${family}: this host's loopback to a port`, [
        ...isFamily(family),
        ...inSubnet(header.saddr(), parseSubnet(loopback)!),
        ...toBridge,
        masquerade,
      ]]]
      : [];
    return [
      [`${family}: out`, [...own, ...notToBridge, masquerade]],
      // The answer must come back this way too, to be what the question was for.
      [`${family}: a container to a port of this host`, [
        ...own,
        ...hasAny({ kind: "ct", key: "status", register: 0 }, CT_STATUSES.dnat),
        masquerade,
      ]],
      ...local,
    ] as [string, Expression[]][];
  });
}

const RULES: Readonly<Record<string, readonly [string, Expression[]][]>> = {
  raw: [
    // The bridges route packets from 127.0.0.0/8 for published ports; nobody may send to it (CVE-2020-8558).
    ["a container to this host's loopback", [
      ...fromBridge,
      ...isFamily("ip"),
      ...inSubnet(ip.daddr(), parseSubnet("127.0.0.0/8")!),
      drop,
    ]],
  ],
  prerouting: [["to this host", [...isLocalDestination(), jump("publish")]]],
  output: [["from this host to itself", [...isLocalDestination(), jump("publish")]]],
  publish: publish(),
  forward: [
    ["answers", [
      ...hasAny(
        { kind: "ct", key: "state", register: 0 },
        CT_STATES.established | CT_STATES.related,
      ),
      accept,
    ]],
    ["within a network", [meta("iifname", 0), meta("oifname", 4), isIn("same"), accept]],
    // Not to others' published ports either.
    ["out of an internal network", [meta("iifname"), isIn("internal"), drop]],
    ["published", [
      ...hasAny({ kind: "ct", key: "status", register: 0 }, CT_STATUSES.dnat),
      accept,
    ]],
    ["into a network", [...toBridge, drop]],
  ],
  postrouting: postrouting(),
};

/** What a rule is called: its chain and its comment. */
export const RULE_NAMES: readonly string[] = Object.entries(RULES).flatMap(([chain, rules]) =>
  rules.map(([comment]) => `${chain} ${comment}`)
);

/** The table with all its chains, sets and rules, and nothing in the sets. */
export function makeTable(table: string): Request[] {
  const of = tableOf(table);
  return [
    addTable({ ...of, comment: SHAPE }),
    ...SET_NAMES.map((set, i) => addSet({ ...setOf(table, set), id: i + 1 })),
    ...Object.entries(CHAINS).map(([chain, hook]) => addChain({ ...of, chain, hook })),
    ...Object.entries(RULES).flatMap(([chain, rules]) =>
      rules.map(([comment, expressions]) => addRule({ ...of, chain, comment, expressions }))
    ),
  ];
}
