import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeMessages, type Message, type Request } from "../message.ts";
import { refusedOnly } from "../testing.ts";
import { decodeElements, joinElements } from "./element.ts";
import * as keys from "./keys.ts";
import * as nft from "./mod.ts";
import { encodeUserdata, readComment } from "./userdata.ts";

// The kernel tells of objects with the same attributes by which they are made: what is written here
// must be read here.

const message = ({ type, body }: Request): Message => ({
  type,
  flags: 0,
  sequence: 1,
  port: 0,
  body,
});
const anyBytes = fc.uint8Array({ maxLength: 64 }).map((all) => new Uint8Array(all));
const keyOf = <T extends object>(table: T) =>
  fc.constantFrom(...Object.keys(table) as Extract<keyof T, string>[]);
const register = fc.nat(15);
const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,30}$/);
const comment = fc.string({ minLength: 1, maxLength: 40 }).filter((text) => !text.includes("\0"));
const family = fc.constantFrom("inet" as const, "ip" as const, "ip6" as const, "bridge" as const);
const verdict: fc.Arbitrary<nft.Verdict> = fc.oneof(
  fc.constantFrom("accept" as const, "drop" as const, "continue" as const, "return" as const),
  fc.record({ jump: name }),
  fc.record({ goto: name }),
);
const kind = <T extends string>(kind: T) => fc.constant(kind);
/** Ends of a range; the kernel cannot say that both are the same. */
const ends = (a: string, b: string) =>
  fc.uniqueArray(register, { maxLength: 2 }).map(([first, last]) => ({
    ...(first === undefined ? {} : { [a]: first }),
    ...(last === undefined ? {} : { [b]: last }),
  }));
const natFlags = fc.subarray(Object.keys(keys.NAT_FLAGS) as nft.NatFlag[], { minLength: 1 })
  .map((flags) => ({ flags }));
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof(fc.constant({}), arbitrary);
const merged = (...parts: fc.Arbitrary<object>[]) =>
  fc.tuple(...parts).map((all) => Object.assign({}, ...all) as nft.Expression);

const expression: fc.Arbitrary<nft.Expression> = fc.oneof(
  fc.record({ kind: kind("meta"), key: keyOf(keys.META_KEYS), register }),
  fc.record({ kind: kind("metaSet"), key: keyOf(keys.META_KEYS), register }),
  fc.record({ kind: kind("ct"), key: keyOf(keys.CT_KEYS), register }),
  fc.record({ kind: kind("ctSet"), key: keyOf(keys.CT_KEYS), register }),
  fc.record({
    kind: kind("payload"),
    base: keyOf(keys.PAYLOAD_BASES),
    offset: fc.nat(255),
    length: fc.nat(64),
    register,
  }),
  fc.record({
    kind: kind("fib"),
    result: keyOf(keys.FIB_RESULTS),
    flags: fc.subarray(Object.keys(keys.FIB_FLAGS) as nft.FibFlag[]),
    register,
  }),
  fc.record({ kind: kind("cmp"), register, op: keyOf(keys.COMPARISONS), value: anyBytes }),
  fc.record({
    kind: kind("range"),
    register,
    op: keyOf(keys.RANGE_COMPARISONS),
    from: anyBytes,
    to: anyBytes,
  }),
  fc.record({
    kind: kind("bitwise"),
    source: register,
    register,
    mask: anyBytes,
    xor: anyBytes,
  }),
  fc.record({
    kind: kind("lookup"),
    set: name,
    register,
    inverted: fc.constant(true as const),
    into: fc.oneof(register, kind("verdict")),
  }, { requiredKeys: ["kind", "set", "register"] }),
  fc.record({ kind: kind("immediate"), register, value: anyBytes }),
  fc.record({ kind: kind("verdict"), verdict }),
  merged(
    fc.record({
      kind: kind("nat"),
      type: keyOf(keys.NAT_TYPES),
      family: keyOf(keys.NAT_FAMILIES),
    }),
    ends("address", "addressEnd"),
    ends("port", "portEnd"),
    maybe(natFlags),
  ),
  merged(
    fc.record({ kind: fc.constantFrom("masquerade", "redirect") }),
    ends("port", "portEnd"),
    maybe(natFlags),
  ),
  fc.record({
    kind: kind("reject"),
    with: fc.constantFrom("icmp" as const, "icmpx" as const),
    code: fc.nat(255),
  }),
  fc.constant({ kind: "reject", with: "tcp reset" } as const),
  fc.record({ kind: kind("counter"), packets: fc.bigInt(0n, 1n << 63n), bytes: fc.bigInt(0n, 9n) }),
  fc.record({
    kind: kind("limit"),
    of: keyOf(keys.LIMITS),
    rate: fc.nat(),
    per: fc.constantFrom(1, 60, 3600),
    burst: fc.nat(),
    over: fc.constant(true as const),
  }, { requiredKeys: ["kind", "of", "rate", "per", "burst"] }),
  fc.record({ kind: kind("log"), prefix: comment, level: fc.nat(7) }),
  fc.record({ kind: kind("log"), prefix: comment, group: fc.nat(0xffff) }),
  fc.constant({ kind: "notrack" } as const),
);

const rule = fc.record({
  family,
  table: name,
  chain: name,
  expressions: fc.array(expression, { maxLength: 20 }),
  comment,
}, { requiredKeys: ["family", "table", "chain", "expressions"] });

Deno.test("a rule is read as it was meant, whatever its expressions", () => {
  fc.assert(fc.property(rule, (rule) => {
    assert.deepEqual(nft.decodeRule(message(nft.addRule(rule))), {
      ...structuredClone(rule),
      handle: 0n,
    });
  }));
});

Deno.test("an expression that is not known here is told by its name, and cannot be sent", () => {
  const base = { family: "ip", table: "t", chain: "c" } as const;
  const { body } = nft.addRule({ ...base, expressions: [{ kind: "notrack" }] });
  const at = body.findIndex((_, i) => new TextDecoder().decode(body.slice(i, i + 7)) === "notrack");
  body.set(new TextEncoder().encode("whoever"), at);
  const [unknown] = nft.decodeRule({ type: 0, flags: 0, sequence: 0, port: 0, body })!.expressions;
  assert.deepEqual(unknown, { kind: "unknown", name: "whoever" });
  assert.throws(
    () => nft.addRule({ ...base, expressions: [unknown!] }),
    /the expression whoever is not known here/,
  );
});

Deno.test("a table and a chain are read as they were meant", () => {
  const table = fc.record({ family, table: name, comment }, { requiredKeys: ["family", "table"] });
  fc.assert(fc.property(table, (table) => {
    const found = nft.decodeTable(message(nft.addTable(table)));
    assert.deepEqual(found, { ...structuredClone(table), handle: 0n, use: 0 });
  }));
  const hook = fc.record({
    type: fc.constantFrom("filter" as const, "nat" as const, "route" as const),
    hook: fc.constantFrom("prerouting", "input", "forward", "output", "postrouting"),
    priority: fc.integer({ min: -500, max: 500 }),
    policy: fc.constantFrom("accept" as const, "drop" as const),
  });
  const chain = fc.record({ family, table: name, chain: name, hook, comment }, {
    requiredKeys: ["family", "table", "chain"],
  });
  fc.assert(fc.property(chain, (chain) => {
    const found = nft.decodeChain(message(nft.addChain(chain as nft.NewChain)));
    assert.deepEqual(found, { ...structuredClone(chain), handle: 0n });
  }));
});

Deno.test("a transaction is its beginning, the requests in order, and its end", () => {
  const table = { family: "inet", table: "t" } as const;
  const requests = nft.destroyTable(table);
  for (const ack of [false, true]) {
    const all = decodeMessages(nft.encodeTransaction(requests, { ack, sequence: 70 }));
    assert.deepEqual(all.map(({ type, sequence }) => [type, sequence]), [
      [0x10, 70],
      [0xa00, 71],
      [0xa02, 72],
      [0x11, 73],
    ]);
    assert.deepEqual(all.map(({ flags }) => flags & 4), ack ? [0, 4, 4, 0] : [0, 0, 0, 0]);
    // linux/netfilter/nfnetlink.h: the subsystem stands in res_id, in network byte order.
    assert.deepEqual([...all[0]!.body], [0, 0, 0, 10]);
  }
});

Deno.test("what cannot be is refused before the kernel is asked", () => {
  const t = { family: "inet", table: "t" } as const;
  const set = { ...t, set: "s", keyType: "inet_service" } as const;
  const map = { ...set, dataType: "mark" } as const;
  const refusals: [() => unknown, RegExp][] = [
    [() => nft.addTable({ ...t, table: "" }), /"" is no name of a table/],
    [() => nft.addTable({ ...t, comment: "x".repeat(128) }), /up to 127 bytes .* got 128/],
    [() => nft.addChain({ ...t, chain: "x".repeat(256) }), /is no name of a chain/],
    [
      () =>
        nft.addChain({ ...t, chain: "c", hook: { type: "filter", hook: "ingress", priority: 0 } }),
      /the hook ingress is not of the family inet/,
    ],
    [() => nft.addSet({ ...set, keyType: [] }), /must have 1 to 64 bytes/],
    [() => nft.addSet({ ...set, keyType: Array(5).fill("ifname") }), /must have 1 to 64 bytes/],
    [() => nft.addSet({ ...map, verdictMap: true }), /values or verdicts, not both/],
    [() => nft.addSet({ ...set, keyType: "mark", interval: true }), /the type mark has no ranges/],
    [() => nft.addElements(set, [{ key: 65536 }]), /65536 is no inet_service: it has 2 bytes/],
    [() => nft.addElements(set, [{ key: -1 }]), /-1 is no inet_service/],
    [() => nft.addElements(set, [{ key: 1.5 }]), /1.5 is no inet_service/],
    [() => nft.addElements(set, [{ key: "http" }]), /"http" is no inet_service/],
    [() => nft.addElements(set, [{ key: new Uint8Array(3) }]), /"3 bytes" is no inet_service/],
    [() => nft.addElements(set, [{ key: [1, 2] }]), /2 values for 1 types \(inet_service\)/],
    [() => nft.addElements(set, [{ key: 1, keyEnd: 2 }]), /it has no ranges/],
    [
      () => nft.addElements({ ...set, interval: true }, [{ key: 2, keyEnd: 1 }]),
      /a range must begin before its end/,
    ],
    [() => nft.addElements(set, [{ key: 1, data: 2 }]), /data is for a map/],
    [() => nft.addElements(map, [{ key: 1 }]), /each element of a map has it/],
    [() => nft.addElements(set, [{ key: 1, verdict: "drop" }]), /of a map of verdicts/],
    [
      () => nft.addRule({ ...t, chain: "c", expressions: [nft.meta("mark", 16)] }),
      /registers are 0 to 15, got 16/,
    ],
    [
      () => nft.addRule({ ...t, chain: "c", expressions: Array(129).fill(nft.accept) }),
      /at most 128 expressions, got 129/,
    ],
  ];
  for (const [body, sentence] of refusals) assert.throws(body, sentence);
});

Deno.test("anybody's userdata is read without harm", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(8), (random, type) => {
    readComment(new Uint8Array(random), type);
  }));
  fc.assert(fc.property(anyBytes, comment, (before, text) => {
    const value = new TextEncoder().encode(`${text}\0`);
    assert.equal(readComment(encodeUserdata([[5, before], [7, value]]), 7), text);
  }));
});

Deno.test("objects that are cut, or have bytes changed, are read or refused in a sentence", () => {
  const t = { family: "inet", table: "t" } as const;
  const types = { keyType: ["ipv4_addr", "inet_service"], dataType: ["mark"] } as const;
  const set = { ...t, set: "s", ...types } as const;
  const hook = { type: "nat", hook: "input", priority: 1 } as const;
  const element = { key: [new Uint8Array(4), 7], data: 9, comment: "x" };
  const sample = fc.oneof(
    rule.map((rule) => nft.addRule(rule).body),
    fc.constantFrom(
      nft.addTable({ ...t, comment: "x" }).body,
      nft.addChain({ ...t, chain: "c", hook, comment: "x" }).body,
      nft.addSet({ ...set, comment: "x", timeout: 5 }).body,
      nft.addElements(set, [element, element])[0]!.body,
    ),
    fc.uint8Array({ maxLength: 200 }).map((all) => new Uint8Array(all)),
  );
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 });
  const known = { ...types, interval: false };
  fc.assert(
    fc.property(sample, changes, fc.nat(), (sample, changes, cut) => {
      const body = sample.slice(0, sample.length - cut % 9);
      for (const [at, value] of changes) if (body.length > 0) body[at % body.length] = value;
      const message: Message = { type: 16, flags: 0, sequence: 1, port: 0, body };
      refusedOnly(() => nft.decodeTable(message));
      refusedOnly(() => nft.decodeChain(message));
      refusedOnly(() => nft.decodeRule(message));
      refusedOnly(() => nft.decodeSet(message));
      refusedOnly(() => joinElements(decodeElements(message, known), known));
    }),
    { numRuns: 2000 },
  );
});
