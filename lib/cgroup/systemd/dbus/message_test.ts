import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../../../errors.ts";
import { decodeMessage, encodeMessage, type Message, messageSize, PREFIX_SIZE } from "./message.ts";
import type { Value } from "./value.ts";

// What systemctl 252 and systemd have said to each other, caught by strace:
// systemctl set-property --runtime init.scope TasksMax=500, and the answer.
const CALL = "6c0104013000000001000000ad00000001016f00190000002f6f72672f66726565646573" +
  "6b746f702f73797374656d64310000000000000003017300110000005365" +
  "74556e697450726f70657274696573000000000000000201730020000000" +
  "6f72672e667265656465736b746f702e73797374656d64312e4d616e6167" +
  "65720000000000000000060173001800000" +
  "06f72672e667265656465736b746f702e73797374656d643100000000000" +
  "00000080167000773626128737629000000000a000000696e69742e73636f" +
  "706500000100000018000000080000005461736b734d61780001740" +
  "0f401000000000000";
const ANSWER = "6c020101000000000100000029000000050175000100000007017300180000006f72672e" +
  "667265656465736b746f702e73797374656d64310000000000000000";

const BODY: Value[] = ["init.scope", true, [["TasksMax", { signature: "t", value: 500n }]]];
const bytes = (hex: string) => Uint8Array.fromHex(hex);

Deno.test("what systemctl and systemd say to each other is understood", () => {
  assert.deepEqual(decodeMessage(bytes(CALL)), {
    type: "call",
    serial: 1,
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "SetUnitProperties",
    destination: "org.freedesktop.systemd1",
    signature: "sba(sv)",
    body: BODY,
  });
  const answer = decodeMessage(bytes(ANSWER));
  assert.deepEqual([answer.type, answer.replyTo, answer.body], ["return", 1, []]);
});

Deno.test("a call is written as systemctl writes it: the same body, the same fields in the specification's order", () => {
  const written = encodeMessage({
    type: "call",
    serial: 1,
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "SetUnitProperties",
    destination: "org.freedesktop.systemd1",
    signature: "sba(sv)",
    body: BODY,
  });
  const golden = bytes(CALL);
  assert.equal(written.length, golden.length);
  assert.equal(written.slice(-48).toHex(), golden.slice(-48).toHex());
  assert.deepEqual(decodeMessage(written), decodeMessage(golden));
  // The prefix but for the flags, of which systemctl's allow a question for a password.
  assert.equal(written.slice(0, 2).toHex(), "6c01");
  assert.equal(written.slice(3, 16).toHex(), golden.slice(3, 16).toHex());
});

Deno.test("the other byte order is read, too", () => {
  // A signal with the body (u 1), as a big-endian machine sends it.
  const big = bytes("42040001000000040000000700000007" + "0801670001750000" + "00000001");
  assert.deepEqual(decodeMessage(big).body, [1]);
});

const INTEGERS: Record<string, fc.Arbitrary<Value>> = {
  y: fc.integer({ min: 0, max: 255 }),
  n: fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 }),
  q: fc.integer({ min: 0, max: 2 ** 16 - 1 }),
  i: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  u: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  x: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  t: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
};

interface Typed {
  readonly type: string;
  readonly value: Value;
}

const text = fc.string({ unit: "grapheme" }).filter((each) => !each.includes("\0"));

/** A type, and an arbitrary of its values. */
function typed(depth: number): fc.Arbitrary<{ type: string; values: fc.Arbitrary<Value> }> {
  const basic = [
    ...Object.entries(INTEGERS),
    ["b", fc.boolean()],
    ["d", fc.double({ noNaN: true })],
    ["s", text],
  ].map(([type, values]) => ({ type: type as string, values: values as fc.Arbitrary<Value> }));
  const leaf = fc.constantFrom(...basic);
  if (depth === 0) return leaf;
  const inner = typed(depth - 1);
  return fc.oneof(
    leaf,
    inner.map(({ type, values }) => ({
      type: `a${type}`,
      values: type === "y"
        ? fc.uint8Array({ maxLength: 20 }).map((each): Value => new Uint8Array(each))
        : fc.array(values, { maxLength: 4 }),
    })),
    fc.array(inner, { minLength: 1, maxLength: 4 }).map((fields) => ({
      type: `(${fields.map(({ type }) => type).join("")})`,
      values: fc.tuple(...fields.map(({ values }) => values)),
    })),
    fc.tuple(leaf, inner).map(([key, { type, values }]) => ({
      type: `a{${key.type}${type}}`,
      values: fc.array(fc.tuple(key.values, values), { maxLength: 4 }),
    })),
    inner.map(({ type, values }) => ({
      type: "v",
      values: values.map((value): Value => ({ signature: type, value })),
    })),
  );
}

const bodies = fc.array(
  typed(3).chain(({ type, values }) => values.map((value): Typed => ({ type, value }))),
  { maxLength: 5 },
);

const message = (body: readonly Typed[]): Message => ({
  type: "signal",
  serial: 7,
  path: "/a",
  interface: "a.b",
  member: "C",
  signature: body.map(({ type }) => type).join(""),
  body: body.map(({ value }) => value),
});

Deno.test("every value of every type comes back as it was written", () => {
  fc.assert(fc.property(bodies, (body) => {
    const written = message(body);
    fc.pre(written.signature!.length < 255);
    const read = decodeMessage(encodeMessage(written));
    assert.deepEqual(read, written);
  }));
});

Deno.test("a message that is cut off or changed anywhere is refused or read, and nothing else", () => {
  const change = fc.tuple(fc.nat(), fc.nat({ max: 255 }));
  fc.assert(
    fc.property(bodies, fc.array(change, { minLength: 1, maxLength: 4 }), (body, changes) => {
      fc.pre(message(body).signature!.length < 255);
      const whole = encodeMessage(message(body));
      for (const [at, byte] of changes) whole[at % whole.length] = byte;
      for (const length of [whole.length, whole.length - 1, PREFIX_SIZE, 3]) {
        try {
          decodeMessage(whole.slice(0, length));
        } catch (error) {
          assert.ok(error instanceof CrateError, String(error));
        }
      }
    }),
    { numRuns: 500 },
  );
});

function refused(act: () => unknown, message: RegExp): void {
  assert.throws(act, (error) => error instanceof CrateError && message.test(error.message));
}

Deno.test("what no message may have is refused with its reason", () => {
  const le = (n: number) => new Uint8Array(new Uint32Array([n]).buffer).toHex();
  const body = (signature: string, value: string) => {
    const letters = new TextEncoder().encode(signature);
    const field = `080167000${letters.length}${letters.toHex()}00`;
    const size = field.length / 2;
    const prefix = `6c040001${le(value.length / 2)}01000000${le(size)}`;
    return decodeMessage(bytes(prefix + field.padEnd(Math.ceil(size / 8) * 16, "0") + value));
  };
  assert.deepEqual(body("u", "07000000").body, [7]);
  refused(() => body("b", "02000000"), /2 is no boolean/);
  refused(() => body("u", "0700000000"), /longer than it says/);
  refused(() => body("u", "0700"), /ends in the middle/);
  refused(() => body("s", "01000000ff00"), /not UTF-8/);
  refused(() => body("s", "010000006161"), /does not end where/);
  refused(() => body("s", "02000000610000"), /does not end where/);
  refused(() => body("au", "ffffff7f"), /too long/);
  refused(() => body("au", "0800000001000000"), /longer than its message/);
  refused(() => body("au", "0300000001000000"), /reaches beyond|longer than/);
  refused(() => body("yu", "0100000107000000"), /padding/);
  refused(() => body("v", "02757500" + "00000000"), /has one type/);
  refused(() => body("r", "00"), /no signature/);
  refused(() => body("a", "00000000"), /no signature/);
  refused(() => body("()", ""), /no signature/);
  refused(() => decodeMessage(bytes(ANSWER.replace("6c0201", "6c0901"))), /no type of a message/);
  refused(() => decodeMessage(bytes(ANSWER.replace("6c020101", "6c020102"))), /version 1/);
  refused(() => messageSize(bytes(`6c040001ffffff7f0100000000000000`)), /too long/);
  const deep = `${"a".repeat(33)}y`;
  refused(
    () => encodeMessage({ type: "signal", serial: 1, signature: deep, body: [[]] }),
    /no signature/,
  );
});

Deno.test("variants in variants end somewhere", () => {
  const nested = (depth: number): Value =>
    depth === 0 ? 1 : { signature: depth === 1 ? "y" : "v", value: nested(depth - 1) };
  const of = (depth: number): Message => ({
    type: "signal",
    serial: 1,
    signature: "v",
    body: [nested(depth)],
  });
  assert.deepEqual(decodeMessage(encodeMessage(of(16))).body, [nested(16)]);
  refused(() => decodeMessage(encodeMessage(of(17))), /too deep/);
});

Deno.test("a value that its type does not hold is not written", () => {
  const write = (signature: string, value: Value) => () =>
    encodeMessage({ type: "signal", serial: 1, signature, body: [value] });
  for (
    const [signature, value] of [
      ["y", 256],
      ["y", -1],
      ["i", 2 ** 31],
      ["u", 1.5],
      ["t", 1n << 64n],
      ["t", "1"],
      ["b", 1],
      ["s", 1],
      ["s", "a\0b"],
      ["as", "a"],
      ["(ss)", ["a"]],
      ["v", "a"],
      ["v", { signature: "ss", value: "a" }],
    ] as const
  ) refused(write(signature, value), /no value of the type|has \d values/);
});
