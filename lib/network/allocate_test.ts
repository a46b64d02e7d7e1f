import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import { allocateAddresses, isOwnMac, macOf, parseMac } from "./allocate.ts";
import type { Attachment, NetworkDefinition, NetworkState } from "./types.ts";

const DEFINITION: NetworkDefinition = {
  version: 1,
  name: "net",
  driver: "bridge",
  created: "2026-01-01T00:00:00Z",
  interface: "crate1",
  subnets: [
    { subnet: "10.77.0.0/28", gateway: "10.77.0.1" },
    { subnet: "fd77::/64", gateway: "fd77::1" },
  ],
  internal: false,
  labels: {},
};
const EMPTY: NetworkState = { version: 1, last: {}, attachments: {} };

function attached(id: string, ip: string, ip6?: string): Attachment {
  const endpoint = { network: "net", interface: "eth0", mac: macOf(ip), aliases: [] };
  return {
    id,
    key: id,
    holder: { pid: 1, startTime: 1 },
    endpoints: [{ ...endpoint, ip, ...ip6 !== undefined && { ip6 } }],
    ports: [],
    hosts: "",
  };
}

/** Gives a container its addresses. */
function enter(state: NetworkState, id: string): NetworkState {
  const { ip, ip6, last } = allocateAddresses(DEFINITION, { network: "net" }, state);
  return { ...state, last, attachments: { ...state.attachments, [id]: attached(id, ip!, ip6) } };
}

function leave(state: NetworkState, id: string): NetworkState {
  const { [id]: _, ...attachments } = state.attachments;
  return { ...state, attachments };
}

function refused(request: { ip?: string; ip6?: string }, state: NetworkState, sentence: RegExp) {
  assert.throws(
    () => allocateAddresses(DEFINITION, { network: "net", ...request }, state),
    (error: unknown) => {
      assert(error instanceof CrateError, String(error));
      assert.match(error.message, sentence);
      return true;
    },
  );
}

Deno.test("the first container has the address after the gateway's, and a hardware address of it", () => {
  assert.deepEqual(allocateAddresses(DEFINITION, { network: "net" }, EMPTY), {
    ip: "10.77.0.2",
    ip6: "fd77::2",
    mac: "02:c7:0a:4d:00:02",
    last: { "net 4": "10.77.0.2", "net 6": "fd77::2" },
  });
});

Deno.test("an address that came back is given again after all others", () => {
  let state = EMPTY;
  const given: string[] = [];
  for (let i = 0; i < 26; i++) {
    state = enter(state, "one");
    given.push(state.attachments["one"]!.endpoints[0]!.ip!);
    state = leave(state, "one");
  }
  // 16 less the network's own, the gateway's and the broadcast address.
  assert.equal(new Set(given.slice(0, 13)).size, 13);
  assert.deepEqual(given.slice(13), given.slice(0, 13));
});

Deno.test("whatever comes and goes, nobody has another's address", () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 20 })), { maxLength: 200 });
  fc.assert(fc.property(steps, (all) => {
    let state = EMPTY;
    for (const [comes, number] of all) {
      const id = `c${number}`;
      const ids = Object.keys(state.attachments);
      if (!comes || ids.includes(id)) state = leave(state, id);
      else if (ids.length < 13) state = enter(state, id);
      else {refused(
          {},
          state,
          /^network net has no address left: all of 10\.77\.0\.0\/28 are in use$/,
        );}
      const endpoints = Object.values(state.attachments).flatMap((each) => each.endpoints);
      for (const family of ["ip", "ip6", "mac"] as const) {
        assert.equal(new Set(endpoints.map((each) => each[family])).size, endpoints.length);
      }
      assert(endpoints.every(({ ip }) => !["10.77.0.0", "10.77.0.1", "10.77.0.15"].includes(ip!)));
    }
  }));
});

Deno.test("an address that is asked for is had, or refused", () => {
  const state = { ...EMPTY, attachments: { one: attached("one", "10.77.0.5", "fd77::5") } };
  const given = allocateAddresses(
    DEFINITION,
    { network: "net", ip: "10.77.0.9", ip6: "fd77:0::9" },
    state,
  );
  assert.deepEqual([given.ip, given.ip6, given.last], ["10.77.0.9", "fd77::9", {}]);
  refused({ ip: "10.77.0.5" }, state, /^--ip 10\.77\.0\.5 is in use in network net$/);
  refused({ ip6: "fd77:0:0::5" }, state, /is in use in network net$/);
  refused({ ip: "10.77.0.1" }, state, /is in use in network net$/);
  for (const ip of ["10.77.0.0", "10.77.0.15", "10.77.0.16", "10.77.0", "x", ""]) {
    refused({ ip }, state, /is no address of network net$/);
  }
  refused({ ip6: "fd78::1" }, state, /^--ip6 fd78::1 is no address of network net$/);
});

Deno.test("what was given out last in another subnet does not matter", () => {
  const state = { ...EMPTY, last: { "net 4": "10.78.0.9", "net 6": "x" } };
  const { ip, ip6 } = allocateAddresses(DEFINITION, { network: "net" }, state);
  assert.deepEqual([ip, ip6], ["10.77.0.2", "fd77::2"]);
});

Deno.test("a hardware address is six bytes of one interface, in one spelling", () => {
  const state = EMPTY;
  const of = (mac: string) => allocateAddresses(DEFINITION, { network: "net", mac }, state).mac;
  assert.equal(of("02-00-5E-10-00-01"), "02:00:5e:10:00:01");
  for (const mac of ["", "02:00", "01:00:5e:00:00:01", "00:00:00:00:00:00", "02:00:00:00:00:0g"]) {
    assert.throws(() => parseMac(mac), CrateError, mac);
  }
  assert(isOwnMac(parseMac(macOf("10.77.0.9"))) && isOwnMac(parseMac(macOf(undefined))));
  assert(!isOwnMac(parseMac("02:42:0a:4d:00:02")) && !isOwnMac(undefined));
});
