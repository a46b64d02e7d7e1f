import assert from "node:assert/strict";
import { encodeTransaction } from "../netlink/nftables/mod.ts";
import { endOfPorts } from "./firewall_sync.ts";
import { makeTable, RULE_NAMES, SET_NAMES, setOf } from "./rules.ts";

const orderOf = (chain: string) =>
  RULE_NAMES.filter((name) => name.startsWith(`${chain} `)).map((name) =>
    name.slice(chain.length + 1)
  );

Deno.test("what is forwarded is answers, then what is within a network, and never out of an internal one", () => {
  assert.deepEqual(orderOf("forward"), [
    "answers",
    "within a network",
    "out of an internal network",
    "published",
    "into a network",
  ]);
});

Deno.test("a port of one address goes before the same port of any", () => {
  for (const family of ["ip", "ip6"]) {
    const order = orderOf("publish");
    const one = order.indexOf(`${family}: a port of one address`);
    assert(one >= 0 && one < order.indexOf(`${family}: a port of any address`));
  }
});

Deno.test("each rule has a name of its own, by which it is known to be there", () => {
  assert.equal(new Set(RULE_NAMES).size, RULE_NAMES.length);
});

Deno.test("the table is made in one transaction that the kernel's encoding takes", () => {
  const requests = makeTable("crate_test");
  assert(requests.length > SET_NAMES.length + RULE_NAMES.length);
  assert(encodeTransaction(requests).length > 1000);
  assert.deepEqual(setOf("t", "ports4").keyType, ["inet_proto", "inet_service"]);
});

Deno.test("the end of ports is a message for each map that they may be in, whatever the container's addresses", () => {
  const port = { protocol: "tcp", hostPort: 8080, containerPort: 80 } as const;
  const mapsOf = (...ports: Parameters<typeof endOfPorts>[1]) =>
    endOfPorts("crate", ports).map((bytes) =>
      /ports\d(_at)?/.exec(new TextDecoder("latin1").decode(bytes))![0]
    );
  assert.deepEqual(mapsOf(), []);
  assert.deepEqual(mapsOf(port, { ...port, hostPort: 81 }), ["ports4", "ports6"]);
  assert.deepEqual(mapsOf({ ...port, hostAddress: "127.0.0.1" }), ["ports4_at"]);
  assert.deepEqual(mapsOf({ ...port, hostAddress: "::" }), ["ports6"]);
  assert.deepEqual(mapsOf({ ...port, hostAddress: "::1" }, port), [
    "ports6_at",
    "ports4",
    "ports6",
  ]);
});
