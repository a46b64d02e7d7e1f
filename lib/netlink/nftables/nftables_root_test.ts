// Not in the virtual machine: netlink has no part in cgroups
import assert from "node:assert/strict";
import { parseAddress, parseSubnet } from "../address.ts";
import { CrateError } from "../../errors.ts";
import { NetlinkError } from "../errors.ts";
import { networkTest, TestNetwork } from "../testing.ts";
import * as nft from "./mod.ts";

// What is made here is what nft(8) prints, and what nft makes is what is read here. Each test has a
// network namespace of its own.

const T = { family: "inet", table: "t" } as const;
const at = (text: string) => parseAddress(text)!;
const open = (network: TestNetwork) => nft.NftablesSocket.open({ namespace: network.fd });
const port = (number: number) => new Uint8Array([number >> 8, number & 0xff]);

function refused(body: () => void, message: string): void {
  assert.throws(body, (error) => {
    assert.ok(error instanceof NetlinkError || error instanceof CrateError, String(error));
    assert.equal(error.message, message);
    return true;
  });
}

const MAP = {
  ...T,
  set: "ports4",
  keyType: ["inet_proto", "inet_service"],
  dataType: ["ipv4_addr", "inet_service"],
} as const;
const MAP6 = { ...MAP, set: "ports6", dataType: ["ipv6_addr", "inet_service"] } as const;
const LINKS = { ...T, set: "links", keyType: ["ifname", "ifname"], verdictMap: true } as const;
const NETS = { ...T, set: "nets", keyType: "ipv4_addr", interval: true } as const;
const FLOWS = {
  ...T,
  set: "flows",
  keyType: ["ipv4_addr", "inet_proto", "inet_service"],
  interval: true,
} as const;

/** Rules of a router with published ports, and how nft says them. */
const RULES: [chain: string, said: string, expressions: nft.Expression[]][] = [
  ["pre", "fib daddr type local dnat ip to meta l4proto . th dport map @ports4", [
    ...nft.isLocalDestination(),
    nft.meta("l4proto", 0),
    nft.th.dport(1),
    { kind: "lookup", set: "ports4", register: 0, into: 0 },
    { kind: "nat", type: "dnat", family: "ip", address: 0, port: 1 },
  ]],
  ["pre", "dnat ip6 to meta l4proto . th dport map @ports6", [
    nft.meta("l4proto", 0),
    nft.th.dport(1),
    { kind: "lookup", set: "ports6", register: 0, into: 0 },
    { kind: "nat", type: "dnat", family: "ip6", address: 0, port: 4 },
  ]],
  ["pre", "tcp dport 443 redirect to :8443", [
    ...nft.is(nft.meta("l4proto"), "inet_proto", 6),
    ...nft.is(nft.th.dport(), "inet_service", 443),
    { kind: "immediate", register: 0, value: port(8443) },
    { kind: "redirect", port: 0 },
  ]],
  [
    "post",
    'oifname != "br0" ip saddr 10.1.0.0/16 counter packets 0 bytes 0 masquerade fully-random',
    [
      ...nft.isNot(nft.meta("oifname"), "ifname", "br0"),
      ...nft.isFamily("ip"),
      ...nft.inSubnet(nft.ip.saddr(), parseSubnet("10.1.0.0/16")!),
      { kind: "counter" },
      { kind: "masquerade", flags: ["fully-random"] },
    ],
  ],
  ["post", "ip6 saddr fd00::/64 ip6 daddr != fd00::/64 masquerade", [
    ...nft.isFamily("ip6"),
    ...nft.inSubnet(nft.ip6.saddr(), parseSubnet("fd00::/64")!),
    ...nft.inSubnet(nft.ip6.daddr(), parseSubnet("fd00::/64")!, "!="),
    { kind: "masquerade" },
  ]],
  ["post", "ip saddr 10.0.0.9 snat ip to 192.0.2.1 persistent", [
    ...nft.isFamily("ip"),
    ...nft.is(nft.ip.saddr(), "ipv4_addr", at("10.0.0.9")),
    { kind: "immediate", register: 0, value: at("192.0.2.1") },
    { kind: "nat", type: "snat", family: "ip", address: 0, flags: ["persistent"] },
  ]],
  ["filtering", "ct state established,related accept", [
    ...nft.hasAny(
      { kind: "ct", key: "state", register: 0 },
      nft.CT_STATES.established | nft.CT_STATES.related,
    ),
    nft.accept,
  ]],
  ["filtering", "ct status dnat accept", [
    ...nft.hasAny({ kind: "ct", key: "status", register: 0 }, nft.CT_STATUSES.dnat),
    nft.accept,
  ]],
  ["filtering", "ct state invalid drop", [
    ...nft.hasAny({ kind: "ct", key: "state", register: 0 }, nft.CT_STATES.invalid),
    nft.drop,
  ]],
  ["filtering", "iifname . oifname vmap @links", [
    nft.meta("iifname", 0),
    nft.meta("oifname", 4),
    { kind: "lookup", set: "links", register: 0, into: "verdict" },
  ]],
  ["filtering", "ip saddr . meta l4proto . th dport @flows accept", [
    ...nft.isFamily("ip"),
    nft.ip.saddr(0),
    nft.meta("l4proto", 1),
    nft.th.dport(2),
    { kind: "lookup", set: "flows", register: 0 },
    nft.accept,
  ]],
  ["filtering", "ip daddr != @nets jump x", [
    ...nft.isFamily("ip"),
    nft.ip.daddr(),
    { kind: "lookup", set: "nets", register: 0, inverted: true },
    nft.jump("x"),
  ]],
  ["filtering", "meta mark set 0x00000007 ct mark set 0x00000008", [
    { kind: "immediate", register: 0, value: new Uint8Array([7, 0, 0, 0]) },
    { kind: "metaSet", key: "mark", register: 0 },
    { kind: "immediate", register: 0, value: new Uint8Array([8, 0, 0, 0]) },
    { kind: "ctSet", key: "mark", register: 0 },
  ]],
  ["filtering", "udp sport 1000-2000 limit rate over 10/minute burst 7 packets drop", [
    ...nft.is(nft.meta("l4proto"), "inet_proto", 17),
    ...nft.between(nft.th.sport(), port(1000), port(2000)),
    { kind: "limit", of: "packets", rate: 10, per: 60, burst: 7, over: true },
    nft.drop,
  ]],
  ["filtering", 'log prefix "no way " level info reject', [
    { kind: "log", prefix: "no way ", level: 6 },
    { kind: "reject", with: "icmpx", code: 1 },
  ]],
  ["filtering", "meta l4proto tcp reject with tcp reset", [
    ...nft.is(nft.meta("l4proto"), "inet_proto", 6),
    { kind: "reject", with: "tcp reset" },
  ]],
  ["filtering", "meta mark 0x00000001 goto x", [
    ...nft.is(nft.meta("mark"), "mark", 1),
    { kind: "verdict", verdict: { goto: "x" } },
  ]],
  ["filtering", "udp dport != 7-9 notrack", [
    ...nft.is(nft.meta("l4proto"), "inet_proto", 17),
    nft.th.dport(),
    { kind: "range", register: 0, op: "!=", from: port(7), to: port(9) },
    { kind: "notrack" },
  ]],
  ["filtering", "return", [{ kind: "verdict", verdict: "return" }]],
];

const CHAINS = [
  nft.addChain({ ...T, chain: "x" }),
  nft.addChain({
    ...T,
    chain: "pre",
    hook: { type: "nat", hook: "prerouting", priority: -100 },
    comment: "published ports",
  }),
  nft.addChain({ ...T, chain: "post", hook: { type: "nat", hook: "postrouting", priority: 100 } }),
  nft.addChain({
    ...T,
    chain: "filtering",
    hook: { type: "filter", hook: "forward", priority: 0, policy: "drop" },
  }),
];

function router(): nft.NewRule[] {
  return RULES.map(([chain, , expressions], index) => ({
    ...T,
    chain,
    expressions,
    comment: `rule ${index}`,
  }));
}

const SETS = [MAP, MAP6, LINKS, NETS, FLOWS].map((set) => nft.addSet(set));

networkTest("rules are what nft says them to be", (network) => {
  using socket = open(network);
  socket.transaction([nft.addTable(T), ...SETS, ...CHAINS, ...router().map(nft.addRule)]);
  const lines = network.ruleset().split("\n").map((line) => line.trim());
  for (const [index, [, said]] of RULES.entries()) {
    const comment = ` comment "rule ${index}"`;
    const line = lines.find((line) => line.endsWith(comment));
    assert.equal(line?.slice(0, -comment.length), said);
  }
  assert.ok(lines.includes("type nat hook prerouting priority dstnat; policy accept;"));
  assert.ok(lines.includes("type nat hook postrouting priority srcnat; policy accept;"));
  assert.ok(lines.includes("type filter hook forward priority filter; policy drop;"));
  assert.ok(lines.includes('comment "published ports"'));
});

networkTest("rules that nft made of the same words are read as the same expressions", (network) => {
  using other = new TestNetwork();
  using socket = open(network);
  socket.transaction([nft.addTable(T), ...SETS, ...CHAINS, ...router().map(nft.addRule)]);
  other.nft(network.ruleset());
  using there = open(other);
  const comparable = (socket: nft.NftablesSocket) =>
    socket.rules(T).map(({ handle: _, ...rule }) => rule);
  const ours = comparable(socket);
  assert.equal(ours.length, RULES.length);
  // nft leaves out what it knows of itself: a protocol's dependency has other places in its rules, and the whole of a
  // byte needs no mask.
  const normal = (rules: ReturnType<typeof comparable>) =>
    rules.map(({ expressions, ...rest }) => ({ ...rest, expressions: normalize(expressions) }));
  assert.deepEqual(normal(comparable(there)), normal(ours));
});

/** A subnet of whole bytes is for nft a shorter load without a mask. */
function normalize(expressions: readonly nft.Expression[]): nft.Expression[] {
  const found: nft.Expression[] = [];
  for (let i = 0; i < expressions.length; i++) {
    const [load, mask, compare] = expressions.slice(i, i + 3);
    // Before nft looks a protocol up in a set of ranges it turns its one byte round.
    if (load?.kind === "unknown" && load.name === "byteorder") continue;
    if (load?.kind === "payload" && mask?.kind === "bitwise" && compare?.kind === "cmp") {
      const length = mask.mask.indexOf(0);
      if (mask.mask.slice(0, length).every((byte) => byte === 255)) {
        found.push({ ...load, length }, { ...compare, value: compare.value.slice(0, length) });
        i += 2;
        continue;
      }
    }
    found.push(load!);
  }
  return found;
}

networkTest(
  "a transaction that fails half way changes nothing, and says what failed",
  (network) => {
    using socket = open(network);
    socket.transaction([nft.addTable(T), ...SETS, ...CHAINS]);
    const [before, generation] = [network.ruleset(), socket.generation()];
    refused(() =>
      socket.transaction([
        nft.addTable({ family: "ip", table: "new" }),
        nft.addRule({ ...T, chain: "filtering", expressions: [nft.accept] }),
        nft.addRule({ ...T, chain: "nowhere", expressions: [nft.accept], comment: "lost" }),
        nft.addSet({ ...T, set: "later", keyType: "mark" }),
        nft.addChain({ ...T, chain: "filtering", exclusive: true }),
      ]), "add a rule to inet t nowhere (lost): ENOENT");
    assert.equal(network.ruleset(), before);
    assert.equal(socket.generation(), generation);
    refused(
      () => socket.transaction([nft.deleteTable({ family: "ip", table: "new" })]),
      "delete the table ip new: ENOENT",
    );
    refused(
      () => socket.transaction([nft.addTable({ ...T, exclusive: true })]),
      "add the table inet t: EEXIST",
    );
    refused(
      () =>
        socket.transaction([
          nft.addRule({ ...T, chain: "x", expressions: [{ kind: "masquerade" }] }),
          nft.addRule({ ...T, chain: "filtering", expressions: [nft.jump("x")] }),
        ]),
      "add a rule to inet t filtering: EOPNOTSUPP",
    );
    assert.equal(network.ruleset(), before);
    // The socket is as good as before.
    socket.transaction([nft.addTable({ family: "ip", table: "new" })]);
    assert.equal(socket.generation(), generation + 1);
  },
);
