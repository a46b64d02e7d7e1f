// Not in the virtual machine: netlink has no part in cgroups
import assert from "node:assert/strict";
import { parseAddress } from "../address.ts";
import { networkTest, TestNetwork } from "../testing.ts";
import * as nft from "./mod.ts";

// Sets that are made here are what nft(8) prints, and those that nft makes are what is read here.

const T = { family: "inet", table: "t" } as const;
const at = (text: string) => parseAddress(text)!;
const open = (network: TestNetwork) => nft.NftablesSocket.open({ namespace: network.fd });
const port = (number: number) => new Uint8Array([number >> 8, number & 0xff]);

/** Lines as nft indents them, for the table `inet t`. */
function table(...lines: string[]): string {
  return ["table inet t {", ...lines, "}"].join("\n");
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

networkTest("sets and maps are what nft prints, types and comments and all", (network) => {
  using socket = open(network);
  socket.transaction([
    nft.addTable({ ...T, comment: "of a test" }),
    nft.addChain({ ...T, chain: "x" }),
    nft.addSet({ ...MAP, comment: "published" }),
    nft.addSet(MAP6),
    nft.addSet(LINKS),
    nft.addSet(NETS),
    nft.addSet(FLOWS),
    nft.addSet({ ...T, set: "marks", keyType: "ifname", dataType: "mark" }),
    nft.addSet({ ...T, set: "hosts", keyType: "ether_addr", timeout: 60_000 }),
    ...nft.addElements(MAP, [{ key: [6, 8080], data: [at("10.1.0.2"), 80], comment: "web" }]),
    ...nft.addElements(MAP6, [{ key: [17, 53], data: [at("fd00::2"), 53] }]),
    ...nft.addElements(LINKS, [
      { key: ["br0", "br1"], verdict: "drop" },
      { key: ["br0", "eth0"], verdict: { jump: "x" } },
    ]),
    ...nft.addElements(NETS, [
      { key: at("10.0.0.0"), keyEnd: at("10.255.255.255") },
      { key: at("192.168.0.5"), keyEnd: at("192.168.0.77"), comment: "some" },
      { key: at("255.255.255.0"), keyEnd: at("255.255.255.255") },
    ]),
    ...nft.addElements(FLOWS, [
      { key: [at("10.1.0.0"), 6, 80], keyEnd: [at("10.1.255.255"), 6, 90] },
    ]),
    ...nft.addElements({ ...T, set: "marks", keyType: "ifname", dataType: "mark" }, [
      { key: "eth0", data: 77 },
    ]),
  ]);
  assert.equal(
    network.ruleset(),
    table(
      '\tcomment "of a test"',
      "\tmap ports4 {",
      "\t\ttype inet_proto . inet_service : ipv4_addr . inet_service",
      '\t\tcomment "published"',
      '\t\telements = { tcp . 8080 comment "web" : 10.1.0.2 . 80 }',
      "\t}",
      "",
      "\tmap ports6 {",
      "\t\ttype inet_proto . inet_service : ipv6_addr . inet_service",
      "\t\telements = { udp . 53 : fd00::2 . 53 }",
      "\t}",
      "",
      "\tmap links {",
      "\t\ttype ifname . ifname : verdict",
      '\t\telements = { "br0" . "br1" : drop,',
      '\t\t\t     "br0" . "eth0" : jump x }',
      "\t}",
      "",
      "\tset nets {",
      "\t\ttype ipv4_addr",
      "\t\tflags interval",
      '\t\telements = { 10.0.0.0/8, 192.168.0.5-192.168.0.77 comment "some",',
      "\t\t\t     255.255.255.0/24 }",
      "\t}",
      "",
      "\tset flows {",
      "\t\ttype ipv4_addr . inet_proto . inet_service",
      "\t\tflags interval",
      "\t\telements = { 10.1.0.0/16 . tcp . 80-90 }",
      "\t}",
      "",
      "\tmap marks {",
      "\t\ttype ifname : mark",
      '\t\telements = { "eth0" : 0x0000004d }',
      "\t}",
      "",
      "\tset hosts {",
      "\t\ttype ether_addr",
      "\t\ttimeout 1m",
      "\t}",
      "",
      "\tchain x {",
      "\t}",
    ),
  );
});

networkTest("what nft prints of sets can be given to nft again", (network) => {
  using socket = open(network);
  using other = new TestNetwork();
  socket.transaction([
    nft.addTable(T),
    ...[MAP, MAP6, NETS, FLOWS].map((set) => nft.addSet(set)),
    ...nft.addElements(MAP, [{ key: [6, 1], data: [at("10.0.0.1"), 2], comment: "a \u00e4 b" }]),
  ]);
  other.nft(network.ruleset());
  assert.equal(other.ruleset(), network.ruleset());
});

networkTest("tables, chains, sets and elements that nft made are read as they are", (network) => {
  network.nft(`table inet t {
    comment "hello"
    set s { type ipv4_addr . inet_service; flags interval; comment "cc"; elements = { 10.0.0.0/8 . 80-90, 11.0.0.1 . 7 comment "one" } }
    map m { type inet_service : ipv6_addr; elements = { 80 : fd00::1, 81 : fd00::2 } }
    map v { type ifname : verdict; elements = { "a0" : goto x } }
    set i { type inet_service; flags interval; elements = { 1-5, 6, 8-9, 65535 } }
    set w { type ipv4_addr; timeout 1h; flags timeout; elements = { 10.0.0.1 timeout 30m } }
    set other { type arp_op; }
    chain x { }
    chain c { type filter hook output priority -5; policy drop; comment "out"; }
  }
  table ip6 u { }`);
  using socket = open(network);
  assert.deepEqual(
    socket.tables().map(({ family, table, comment }) => [family, table, comment]),
    [["inet", "t", "hello"], ["ip6", "u", undefined]],
  );
  assert.deepEqual(socket.tables("ip6").map(({ table }) => table), ["u"]);
  const hook = { type: "filter", hook: "output", priority: -5, policy: "drop" };
  assert.deepEqual(socket.chains(T).map(({ handle: _, ...chain }) => chain), [
    { ...T, chain: "x" },
    { ...T, chain: "c", hook, comment: "out" },
  ] as Omit<nft.Chain, "handle">[]);
  const sets = new Map(socket.sets(T).map((set) => [set.set, set]));
  assert.deepEqual(sets.get("s")?.keyType, ["ipv4_addr", "inet_service"]);
  assert.equal(sets.get("s")?.comment, "cc");
  assert.equal(sets.get("s")?.interval, true);
  assert.deepEqual(sets.get("m")?.dataType, ["ipv6_addr"]);
  assert.equal(sets.get("v")?.verdictMap, true);
  assert.equal(sets.get("w")?.timeout, 3_600_000);
  assert.equal(sets.get("other")?.keyType, undefined);
  const elements = (set: string) => socket.elements({ ...T, set });
  assert.deepEqual(elements("s"), [
    {
      key: [at("10.0.0.0"), port(80)],
      keyEnd: [at("10.255.255.255"), port(90)],
    },
    { key: [at("11.0.0.1"), port(7)], comment: "one" },
  ]);
  assert.deepEqual(elements("m"), [
    { key: [port(80)], data: [at("fd00::1")] },
    { key: [port(81)], data: [at("fd00::2")] },
  ]);
  assert.deepEqual(elements("v")?.map(({ verdict }) => verdict), [{ goto: "x" }]);
  const number = (all?: readonly Uint8Array[]) => all && all[0]![0]! << 8 | all[0]![1]!;
  assert.deepEqual(
    elements("i")?.map(({ key, keyEnd }) => [number(key), number(keyEnd)]),
    [[1, 5], [6, undefined], [8, 9], [65535, undefined]],
  );
  assert.deepEqual(elements("w"), [{ key: [at("10.0.0.1")], timeout: 1_800_000 }]);
  assert.equal(elements("nothing"), undefined);
});
