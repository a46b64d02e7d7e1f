import assert from "node:assert/strict";
import fc from "fast-check";
import { type Message, type Request } from "../message.ts";
import { decodeElements, joinElements } from "./element.ts";
import * as nft from "./mod.ts";

// Sets, and their elements: what is written must be read.

const message = ({ type, body }: Request): Message => ({
  type,
  flags: 0,
  sequence: 1,
  port: 0,
  body,
});
const bytes = (size: number) =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((all) => new Uint8Array(all));
const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,30}$/);
const comment = fc.string({ minLength: 1, maxLength: 40 }).filter((text) => !text.includes("\0"));
const family = fc.constantFrom("inet" as const, "ip" as const, "ip6" as const, "bridge" as const);
const dataType = fc.constantFrom<nft.DataTypeName[]>(
  "ipv4_addr",
  "ipv6_addr",
  "inet_proto",
  "inet_service",
  "mark",
  "ifname",
  "ether_addr",
);
const types = fc.array(dataType, { minLength: 1, maxLength: 4 })
  .filter((all) => nft.encodeValues(all, all.map(zero)).length <= 64);
const SIZES: Partial<Record<nft.DataTypeName, number>> = {
  ipv4_addr: 4,
  ipv6_addr: 16,
  inet_proto: 1,
  inet_service: 2,
  mark: 4,
  ifname: 16,
  ether_addr: 6,
};
const zero = (type: nft.DataTypeName) => new Uint8Array(SIZES[type]!);
const values = (types: readonly nft.DataTypeName[]) =>
  fc.tuple(...types.map((type) => bytes(SIZES[type]!)));

Deno.test("a set is read as it was meant", () => {
  const set = fc.record({
    family,
    table: name,
    set: name,
    keyType: types,
    dataType: types,
    timeout: fc.integer({ min: 1, max: 1e9 }),
    comment,
  }, { requiredKeys: ["family", "table", "set", "keyType"] });
  fc.assert(fc.property(set, (set) => {
    const { handle, keyLength, isMap, verdictMap, interval, anonymous, constant, ...found } = nft
      .decodeSet(message(nft.addSet(set)))!;
    assert.deepEqual(found, structuredClone(set));
    assert.equal(keyLength, nft.encodeValues(set.keyType, set.keyType.map(zero)).length);
    assert.deepEqual(
      [handle, isMap, verdictMap, interval, anonymous, constant],
      [0n, set.dataType !== undefined, false, false, false, false],
    );
  }));
});

/** The elements in requests, as the kernel would tell of them. */
function elementsIn(requests: readonly Request[], types: nft.SetDefinition): nft.ElementEntry[] {
  const list = (types: nft.DataTypeName | readonly nft.DataTypeName[]) => [types].flat();
  const known = {
    keyType: list(types.keyType) as nft.DataTypeName[],
    interval: Boolean(types.interval),
    ...(types.dataType && { dataType: list(types.dataType) as nft.DataTypeName[] }),
  };
  return joinElements(requests.flatMap((each) => decodeElements(message(each), known)), known);
}

Deno.test("elements of a map are read as they were meant", () => {
  const all = fc.tuple(types, types).chain(([keyType, dataType]) =>
    fc.tuple(
      fc.constant(keyType),
      fc.constant(dataType),
      fc.uniqueArray(
        fc.record({ key: values(keyType), data: values(dataType), comment, timeout: fc.nat() }, {
          requiredKeys: ["key", "data"],
        }),
        { maxLength: 20, selector: ({ key }) => key.join(" ") },
      ),
    )
  );
  fc.assert(fc.property(all, ([keyType, dataType, elements]) => {
    const set = { family: "inet", table: "t", set: "s", keyType, dataType } as const;
    const found = elementsIn(nft.addElements(set, elements), set);
    const byKey = <T extends { key: readonly Uint8Array[] }>(all: readonly T[]) =>
      new Map(all.map((each) => [each.key.join(" "), each]));
    assert.equal(found.length, elements.length);
    assert.deepEqual(byKey(found), byKey(structuredClone(elements)));
  }));
});

Deno.test("ranges of single values are read as they were meant, those that touch each other too", () => {
  const bounds = fc.uniqueArray(fc.nat(0xffff), { maxLength: 40 })
    .map((all) => all.sort((a, b) => a - b));
  fc.assert(fc.property(bounds, fc.boolean(), (bounds, toTheEnd) => {
    const set = {
      family: "inet",
      table: "t",
      set: "s",
      keyType: "inet_service",
      interval: true,
    } as const;
    if (toTheEnd && bounds.length > 0) bounds[bounds.length - 1] = 0xffff;
    const ranges = bounds.flatMap((first, i) => i % 2 ? [] : [[first, bounds[i + 1] ?? first]]);
    const elements = ranges.map(([key, keyEnd]) => ({ key: key!, keyEnd: keyEnd! }));
    const number = (all: readonly Uint8Array[]) => all[0]![0]! << 8 | all[0]![1]!;
    const found = elementsIn(nft.addElements(set, elements), set)
      .map(({ key, keyEnd }) => [number(key), number(keyEnd ?? key)]);
    assert.deepEqual(found, ranges);
  }));
});

Deno.test("many elements are as many requests as they need, and none is lost", () => {
  const set = { family: "inet", table: "t", set: "s", keyType: "ipv4_addr" } as const;
  const elements = Array.from({ length: 5000 }, (_, i) => ({
    key: new Uint8Array([10, 0, i >> 8, i & 0xff]),
    comment: "x".repeat(i % 127 + 1),
  }));
  const requests = nft.addElements(set, elements);
  assert.ok(requests.length > 5);
  for (const { body } of requests) assert.ok(body.length < 65_536);
  assert.equal(elementsIn(requests, set).length, 5000);
  assert.deepEqual(nft.addElements(set, []), []);
});
