import assert from "node:assert/strict";
import { allocateAddresses, macOf } from "./allocate.ts";
import { poolOf } from "./pool.ts";
import { SLOTS } from "./slots.ts";
import type { NetworkDefinition, NetworkState } from "./types.ts";

const DEFINITION: NetworkDefinition = {
  version: 1,
  name: "net",
  driver: "bridge",
  created: "2026-01-01T00:00:00Z",
  interface: "crate1",
  subnets: [
    { subnet: "10.77.0.0/16", gateway: "10.77.0.1" },
    { subnet: "fd77::/64", gateway: "fd77::1" },
  ],
  internal: false,
  labels: {},
};
const EMPTY: NetworkState = { version: 1, last: {}, attachments: {} };
const of = (subnet: string, gateway: string) => ({ ...DEFINITION, subnets: [{ subnet, gateway }] });

Deno.test("the addresses of a pool have texts of one length, wherever it begins", () => {
  for (const last of ["10.77.0.1", "10.77.0.7", "10.77.0.97", "10.77.255.250"]) {
    for (const last6 of ["fd77::1", "fd77::d", "fd77::fe", "fd77::fffe"]) {
      const state = { ...EMPTY, last: { "net 4": last, "net 6": last6 } };
      const { pool, state: after } = poolOf(DEFINITION, state);
      assert.equal(pool?.length, 8 * SLOTS);
      for (const name of ["ip", "ip6", "mac"] as const) {
        assert.equal(new Set(pool.map((each) => each[name]!.length)).size, 1);
        assert.equal(new Set(pool.map((each) => each[name])).size, pool.length);
      }
      assert(pool.every(({ ip, mac }) => mac === macOf(ip)));
      assert.deepEqual(after.pools, { net: pool });
      assert.equal(poolOf(DEFINITION, after).state, after, "it stays");
    }
  }
});

Deno.test("a pool is of a network that has room for it, as that is now", () => {
  assert.deepEqual(poolOf(of("10.77.0.0/26", "10.77.0.1"), EMPTY), { state: EMPTY });
  const { pool } = poolOf(of("10.77.0.0/24", "10.77.0.1"), EMPTY);
  assert.equal(pool?.length, SLOTS, "one for each place");
  const before = poolOf(DEFINITION, EMPTY).state;
  const other = poolOf(of("10.78.0.0/16", "10.78.0.1"), before);
  assert(other.pool?.every(({ ip, ip6 }) => ip!.startsWith("10.78.") && ip6 === undefined));
});

Deno.test("what is in a pool is given to nobody who does not name it", () => {
  const { pool, state } = poolOf(DEFINITION, EMPTY);
  const kept = new Set(pool!.flatMap(({ ip, ip6 }) => [ip, ip6]));
  let next: NetworkState = { ...state, last: {} };
  for (let i = 0; i < 300; i++) {
    const { ip, ip6, last, pools } = allocateAddresses(DEFINITION, { network: "net" }, next);
    assert(!kept.has(ip) && !kept.has(ip6));
    next = { ...next, last, pools };
  }
  assert.equal(next.pools, state.pools);
  const { ip, ip6 } = pool![3]!;
  for (const request of [{ ip }, { ip6 }, { ip6: ip6!.toUpperCase() }]) {
    const found = allocateAddresses(DEFINITION, { network: "net", ...request }, state);
    assert.deepEqual([found.ip ?? ip, found.pools], [request.ip ?? found.ip, {}]);
  }
});

Deno.test("where no other address is left, the pool's are given", () => {
  const small = of("10.77.0.0/24", "10.77.0.1");
  let { state } = poolOf(small, EMPTY);
  const given = new Set<string>();
  for (let i = 0; i < 253; i++) {
    const { last, pools, ...address } = allocateAddresses(small, { network: "net" }, state);
    given.add(address.ip!);
    const endpoint = { network: "net", interface: "eth0", aliases: [], ...address };
    const one = { id: `${i}`, key: `${i}`, holder: { pid: 1, startTime: 1 }, ports: [], hosts: "" };
    const attachments = { ...state.attachments, [i]: { ...one, endpoints: [endpoint] } };
    state = { ...state, last, pools, attachments };
  }
  assert.equal(given.size, 253);
  assert.deepEqual(state.pools, {});
});
