import assert from "node:assert/strict";
import fc from "fast-check";
import { Writer } from "../attributes.ts";
import type { Message, Request } from "../message.ts";
import { refusedOnly } from "../testing.ts";
import * as route from "./mod.ts";
import { ifinfomsg } from "./structs.ts";

// The kernel tells of objects with the same structs and attributes by which they are made: what is
// written here must be read here.

const bytes = (size: number) =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((all) => new Uint8Array(all));
const ip = fc.oneof(bytes(4), bytes(16));
const prefixed = ip.chain((address) =>
  fc.record({ address: fc.constant(address), prefix: fc.nat(8 * address.length) })
);
const index = fc.integer({ min: 1, max: 0x7fffffff });
const name = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,14}$/);

const message = ({ type, body }: Request): Message => ({
  type,
  flags: 0,
  sequence: 1,
  port: 0,
  body,
});

const link = fc.record({
  name,
  kind: fc.constantFrom("bridge", "dummy", "veth"),
  mtu: fc.integer({ min: 68, max: 65535 }),
  address: bytes(6),
  up: fc.boolean(),
  alias: fc.string({ minLength: 1, maxLength: 50 }).filter((text) => !text.includes("\0")),
  master: index,
  parent: index,
});

Deno.test("a link that is made is read as it was meant", () => {
  fc.assert(fc.property(link, ({ parent, ...options }) => {
    const { up, ...rest } = options;
    const found = route.decodeLink(message(route.addLink({ ...rest, up, parent })));
    assert.deepEqual(found, {
      ...rest,
      index: 0,
      up,
      flags: Number(up),
      operState: "unknown",
      linkIndex: parent,
    });
  }));
});

Deno.test("a change of a link says what changes and nothing else", () => {
  const { body } = route.setLink({ index: 7, up: false });
  assert.deepEqual(body, ifinfomsg.pack({ ifi_index: 7, ifi_change: 1 }));
  const renamed = route.setLink({ index: 7, name: "new" });
  assert.equal(route.decodeLink(message(renamed)).name, "new");
  assert.equal(renamed.label, "set the link 7");
  assert.equal(route.setLink({ name: "eth0", up: true }).label, "set the link eth0");
});

Deno.test("an address that is given to a link is read as it was meant", () => {
  const scopes = fc.constantFrom("universe", "site", "link", "host");
  fc.assert(fc.property(prefixed, index, scopes, (net, index, scope) => {
    const found = route.decodeAddress(message(route.addAddress({ ...net, index, scope })));
    assert.deepEqual(found, { ...net, index, scope, flags: 0, tentative: false });
  }));
});

Deno.test("a route that is added is read as it was meant", () => {
  const optional = { index, metric: fc.nat(0xffffffff), table: fc.integer({ min: 1, max: 9999 }) };
  const all = prefixed.chain(({ address, prefix }) =>
    fc.record({
      destination: fc.constant(address),
      prefix: fc.constant(prefix),
      ...optional,
      gateway: bytes(address.length),
      source: bytes(address.length),
      scope: fc.constantFrom("universe", "link", "host"),
      type: fc.constantFrom("unicast", "local", "blackhole", "unreachable"),
      onLink: fc.boolean(),
    }, { requiredKeys: ["destination", "prefix", "scope", "type", "onLink"] })
  );
  fc.assert(fc.property(all, (options) => {
    const found = route.decodeRoute(message(route.addRoute(options)));
    assert.deepEqual(found, {
      table: 254,
      ...options,
      family: options.destination.length === 4 ? "ipv4" : "ipv6",
      protocol: 3,
    });
  }));
});

Deno.test("a neighbour that is added is read as it was meant", () => {
  const state = fc.constantFrom("permanent", "reachable", "noarp");
  fc.assert(fc.property(ip, index, bytes(6), state, (address, index, linkAddress, state) => {
    const neighbour = { address, index, linkAddress, state };
    assert.deepEqual(route.decodeNeighbour(message(route.addNeighbour(neighbour))), neighbour);
  }));
});

Deno.test("what cannot be is refused before the kernel is asked", () => {
  const address = new Uint8Array([10, 0, 0, 1]);
  const six = new Uint8Array(16);
  const refusals: [() => unknown, RegExp][] = [
    [() => route.addLink({ name: "a/b", kind: "dummy" }), /"a\/b" is no name of a network/],
    [() => route.addLink({ name: "0123456789abcdef", kind: "dummy" }), /1 to 15 bytes/],
    [() => route.addLink({ name: "ä", kind: "dummy" }), /is no name/],
    [() => route.addLink({ name: "..", kind: "dummy" }), /is no name/],
    [
      () => route.addLink({ name: "a", kind: "dummy", vlanId: 5 }),
      /a: vlanId is for the kind vlan/,
    ],
    [() => route.addLink({ name: "a", kind: "bridge", peer: { name: "b" } }), /for the kind veth/],
    [() => route.addAddress({ index: 1, address, prefix: 33 }), /from 0 to 32, got 33/],
    [
      () => route.addAddress({ index: 1, address: six.slice(1), prefix: 3 }),
      /4 or 16 bytes, got 15/,
    ],
    [() => route.addRoute({}), /a destination, a gateway or a family/],
    [() => route.addRoute({ destination: address, gateway: six }), /must be of one family/],
    [() => route.addRoute({ family: "ipv6", gateway: address }), /must be of one family/],
  ];
  for (const [body, sentence] of refusals) assert.throws(body, sentence);
});

Deno.test("objects that are cut, or have bytes changed, are read or refused in a sentence", () => {
  const samples = [
    route.addLink({ name: "v", kind: "veth", mtu: 1500, peer: { name: "w", namespacePid: 1 } }),
    route.setLink({ index: 3, bridgePort: { hairpin: true, isolated: true } }),
    route.addAddress({ index: 1, address: new Uint8Array(4), prefix: 8, noDad: true }),
    route.addRoute({ gateway: new Uint8Array(16), metric: 7, table: 1000 }),
    route.addNeighbour({ index: 1, address: new Uint8Array(4), linkAddress: new Uint8Array(6) }),
    route.getNamespaceId({ pid: 1 }),
  ].map(({ body }) => body);
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 });
  const random = fc.uint8Array({ maxLength: 200 }).map((all) => new Uint8Array(all));
  const sample = fc.oneof(fc.constantFrom(...samples), random);
  fc.assert(
    fc.property(sample, changes, fc.nat(), (sample, changes, cut) => {
      const body = sample.slice(0, sample.length - cut % 9);
      for (const [at, value] of changes) if (body.length > 0) body[at % body.length] = value;
      const message: Message = { type: 16, flags: 0, sequence: 1, port: 0, body };
      refusedOnly(() => route.decodeLink(message));
      refusedOnly(() => route.decodeAddress(message));
      refusedOnly(() => route.decodeRoute(message));
      refusedOnly(() => route.decodeNeighbour(message));
      refusedOnly(() => route.decodeNamespaceId(message));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("an object that is all attributes is read in a time that grows with its length alone", () => {
  const w = new Writer().struct(ifinfomsg);
  for (let i = 0; i < 100_000; i++) w.u32(4, i);
  const body = w.finish();
  const started = performance.now();
  assert.equal(route.decodeLink({ type: 16, flags: 0, sequence: 1, port: 0, body }).mtu, 99_999);
  assert.ok(performance.now() - started < 2000);
});
