// Not in the virtual machine: netlink has no part in cgroups
import assert from "node:assert/strict";
import { parseAddress } from "../address.ts";
import { NETLINK_NETFILTER } from "../constants.ts";
import { NetlinkError } from "../errors.ts";
import { NetlinkSocket } from "../socket.ts";
import { networkTest, type TestNetwork } from "../testing.ts";
import * as nft from "./mod.ts";

// Rulesets that change. Each test has a network namespace of its own.

const T = { family: "inet", table: "t" } as const;
const at = (text: string) => parseAddress(text)!;
const open = (network: TestNetwork) => nft.NftablesSocket.open({ namespace: network.fd });
const counter: nft.Expression = { kind: "counter" };

networkTest("rules come where they are told to, and go by their handles", (network) => {
  using socket = open(network);
  const chain = { ...T, chain: "c" };
  const rule = (comment: string, more: Partial<nft.NewRule> = {}) =>
    nft.addRule({ ...chain, expressions: [counter], comment, ...more });
  socket.transaction([nft.addTable(T), nft.addChain(chain), rule("b"), rule("d")]);
  const handle = (name: string) =>
    socket.rules(chain).find(({ comment }) => comment === name)!.handle;
  socket.transaction([
    rule("a", { insert: true }),
    rule("c", { position: handle("b") }),
    rule("a2", { position: handle("b"), insert: true }),
  ]);
  const names = () => socket.rules(chain).map(({ comment }) => comment).join(" ");
  assert.equal(names(), "a a2 b c d");
  socket.transaction([nft.deleteRule({ ...chain, handle: handle("b") })]);
  assert.equal(names(), "a a2 c d");
  assert.deepEqual(network.ruleset().match(/comment "\w+"/g)?.length, 4);
  socket.transaction([nft.flushChain(chain), rule("new")]);
  assert.equal(names(), "new");
  socket.transaction([nft.flushChain(chain), nft.deleteChain(chain)]);
  assert.deepEqual(socket.chains(T), []);
  assert.deepEqual(socket.rules(chain), []);
});

networkTest("elements come and go, of maps and of ranges", (network) => {
  using socket = open(network);
  const map = { ...T, set: "m", keyType: "inet_service", dataType: "ipv4_addr" } as const;
  const nets = { ...T, set: "n", keyType: "ipv4_addr", interval: true } as const;
  const flows = { ...T, set: "f", keyType: ["ipv4_addr", "inet_service"], interval: true } as const;
  const net = { key: at("10.0.0.0"), keyEnd: at("10.0.255.255") };
  const flow = { key: [at("10.0.0.0"), 1], keyEnd: [at("10.0.0.9"), 9] };
  socket.transaction([
    nft.addTable(T),
    ...[map, nets, flows].map((set) => nft.addSet(set)),
    ...nft.addElements(map, [{ key: 1, data: at("1.1.1.1") }, { key: 2, data: at("2.2.2.2") }]),
    ...nft.addElements(nets, [net, { key: at("192.168.0.1") }]),
    ...nft.addElements(flows, [flow, { key: [at("11.0.0.0"), 5] }]),
  ]);
  const count = () => [map, nets, flows].map((set) => socket.elements(set)?.length);
  assert.deepEqual(count(), [2, 2, 2]);
  socket.transaction([
    ...nft.deleteElements(map, [{ key: 1 }]),
    ...nft.deleteElements(nets, [net]),
    ...nft.deleteElements(flows, [flow]),
  ]);
  assert.deepEqual(count(), [1, 1, 1]);
  assert.match(network.ruleset(), /elements = \{ 192\.168\.0\.1 \}/);
  assert.match(network.ruleset(), /elements = \{ 11\.0\.0\.0 \. 5 \}/);
  assert.match(network.ruleset(), /elements = \{ 2 : 2\.2\.2\.2 \}/);
  socket.transaction([map, nets, flows].map(nft.flushSet));
  assert.deepEqual(count(), [0, 0, 0]);
  socket.transaction([map, nets, flows].map(nft.deleteSet));
  assert.deepEqual(socket.sets(T), []);
});

networkTest("a table is destroyed whether it is there or not", (network) => {
  using socket = open(network);
  socket.transaction(nft.destroyTable(T));
  socket.transaction([nft.addTable(T), nft.addChain({ ...T, chain: "c" })]);
  socket.transaction([...nft.destroyTable(T), nft.addTable({ ...T, comment: "new" })]);
  assert.equal(network.ruleset(), 'table inet t {\n\tcomment "new"\n}');
  socket.transaction(nft.destroyTable(T));
  assert.deepEqual(socket.tables(), []);
  assert.deepEqual(socket.sets(T), []);
});

networkTest("ten thousand elements are added in one transaction, and all are read", (network) => {
  using socket = open(network);
  const set = { ...T, set: "s", keyType: ["ipv4_addr", "inet_service"] } as const;
  const elements = Array.from({ length: 10_000 }, (_, i) => ({
    key: [new Uint8Array([10, 0, i >> 8, i & 0xff]), i],
    comment: `${i}`,
  }));
  socket.transaction([nft.addTable(T), nft.addSet(set), ...nft.addElements(set, elements)]);
  const found = socket.elements(set)!;
  assert.equal(found.length, 10_000);
  assert.deepEqual(
    new Set(found.map(({ comment }) => comment)),
    new Set(elements.map(({ comment }) => comment)),
  );
  const table: { nftables: { set?: { elem: unknown[] } }[] } = JSON.parse(
    network.run(["nft", "-j", "list", "set", "inet", "t", "s"]),
  );
  assert.equal(table.nftables.find(({ set }) => set)?.set?.elem.length, 10_000);
});

networkTest("more than one datagram holds is refused before anything is done", (network) => {
  using socket = open(network);
  const set = { ...T, set: "s", keyType: "ipv4_addr" } as const;
  const elements = Array.from({ length: 70_000 }, (_, i) => ({
    key: new Uint8Array([10, i >> 16, i >> 8, i & 0xff]),
  }));
  assert.throws(
    () => socket.transaction([nft.addTable(T), nft.addSet(set), ...nft.addElements(set, elements)]),
    /^CrateError: change the tables of nftables: \d+ bytes are too many for one datagram/,
  );
  assert.deepEqual(socket.tables(), []);
  socket.transaction([nft.addTable(T)]);
});

networkTest(
  "a transaction's bytes do their work when somebody else sends them, twice too",
  (network) => {
    const requests = [
      ...nft.destroyTable(T),
      nft.addTable(T),
      nft.addChain({ ...T, chain: "c" }),
      nft.addRule({ ...T, chain: "c", expressions: [counter], comment: "sent" }),
    ];
    using socket = NetlinkSocket.open(NETLINK_NETFILTER, { namespace: network.fd });
    const bytes = nft.encodeTransaction(requests);
    assert.deepEqual(socket.exchange(bytes, "send"), { messages: [], lost: false });
    const ruleset = network.ruleset();
    assert.match(ruleset, /comment "sent"/);
    assert.deepEqual(socket.exchange(bytes, "send"), { messages: [], lost: false });
    assert.equal(network.ruleset(), ruleset);
    const { messages } = socket.exchange(
      nft.encodeTransaction(requests, { ack: true, sequence: 9 }),
      "send",
    );
    assert.deepEqual(messages.map(({ sequence }) => sequence), [10, 11, 12, 13, 14]);
  },
);

networkTest("what is listed while others change it is whole", async (network) => {
  using socket = open(network);
  const set = { ...T, set: "s", keyType: "ipv4_addr" } as const;
  const elements = Array.from({ length: 4000 }, (_, i) => ({
    key: new Uint8Array([10, 0, i >> 8, i & 0xff]),
  }));
  socket.transaction([nft.addTable(T), nft.addSet(set), ...nft.addElements(set, elements)]);
  const script = "for i in $(seq 60); do nft add table ip x$i; done";
  const [command, ...args] = network.words("sh", "-c", script);
  const changing = new Deno.Command(command, { args, stdin: "null" }).spawn();
  let ended = false;
  const end = changing.status.then(() => ended = true);
  while (!ended) {
    assert.equal(socket.elements(set)?.length, 4000);
    socket.tables();
    await new Promise((resolve) => setTimeout(resolve));
  }
  await end;
  assert.equal(socket.tables().length, 61);
});

networkTest("a process without privileges is told so", (network) => {
  const body = `
    import * as routing from ${JSON.stringify(new URL("../mod.ts", import.meta.url).href)};
    import * as nftables from ${JSON.stringify(new URL("./mod.ts", import.meta.url).href)};
    const netlink = { ...routing, ...nftables };
    const told = (body) => { try { body(); return "done"; } catch (error) { return error.message; } };
    using tables = netlink.NftablesSocket.open();
    using routes = netlink.RouteSocket.open();
    console.log(told(() => tables.transaction([netlink.addTable({ family: "ip", table: "t" })])));
    console.log(told(() => routes.execute([netlink.addLink({ name: "x", kind: "bridge" })])));
    console.log(told(() => netlink.RouteSocket.open({ namespace: 0 })));
    console.log(routes.links().length);`;
  const deno = [Deno.execPath(), "run", "-A", "--no-check", "--quiet", "-"];
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  deno.splice(2, 0, `--config=${config}`);
  const drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"];
  const text = network.run([
    ...drop,
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "env",
    "HOME=/tmp",
    "DENO_DIR=/tmp/crate-test-deno",
    ...deno,
  ], body);
  assert.deepEqual(text.trim().split("\n"), [
    "add the table ip t: EPERM",
    "add the link x: EPERM",
    "enter the network namespace: EPERM (coming back would be refused: it takes CAP_SYS_ADMIN over its own, too)",
    "1",
  ]);
});

networkTest("a NetlinkError tells where in the message the kernel stopped", (network) => {
  using socket = open(network);
  assert.throws(
    () => socket.transaction([nft.deleteTable(T)]),
    (error) => error instanceof NetlinkError && error.offset === 20,
  );
});
