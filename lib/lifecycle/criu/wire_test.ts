import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../../errors.ts";
import { optionsMessage, request, RequestType, response } from "./messages.ts";
import {
  decode,
  encode,
  type Field,
  type Message,
  message,
  type MessageFields,
  type ValuesOf,
} from "./wire.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));

Deno.test("messages have the bytes that the format's documentation gives", () => {
  // https://protobuf.dev/programming-guides/encoding/: 150, "testing", and a message in a message.
  const test1 = message({ a: [1, "int32"] });
  assert.deepEqual(encode(test1, { a: 150 }), hex("08 96 01"));
  const test2 = message({ b: [2, "string"] });
  assert.deepEqual(encode(test2, { b: "testing" }), hex("12 07 74 65 73 74 69 6e 67"));
  const test3 = message({ c: [3, test1] });
  assert.deepEqual(encode(test3, { c: { a: 150 } }), hex("1a 03 08 96 01"));
  assert.deepEqual(encode(test1, { a: -2 }), hex("08 fe ff ff ff ff ff ff ff ff 01"));
  const test4 = message({ d: [4, "string"], e: [6, "int32", "repeated"] });
  const all = { d: "hello", e: [1, 2, 3] };
  assert.deepEqual(encode(test4, all), hex("22 05 68 65 6c 6c 6f 30 01 30 02 30 03"));
  assert.deepEqual(decode(test4, encode(test4, all)), all);
});

Deno.test("a request to criu has the bytes that protoc makes of it", () => {
  // protoc --encode=criu_req rpc.proto
  const bytes = encode(request, {
    type: RequestType.DUMP,
    opts: {
      images_dir_fd: 5,
      pid: -1,
      leave_running: false,
      inherit_fd: [{ key: "x", fd: 1 }],
      external: ["a", "bb"],
      empty_ns: 0x40000000,
    },
  });
  assert.deepEqual(
    bytes,
    hex(
      "08 01 12 27 08 05 10 ff ff ff ff ff ff ff ff ff 01 18 00 da 01 05 0a 01 78 10 01 aa 02 01 61 aa 02 02 62 62 b0 02 80 80 80 80 04",
    ),
  );
});

Deno.test("a notification of criu's is read from the bytes that protoc makes of it", () => {
  // protoc --encode=criu_resp rpc.proto
  const bytes = hex(
    "08061001 2a110a0c 706f7374 2d726573 746f7265 10e72438 eaffffff ffffffff 01",
  );
  assert.deepEqual(decode(response, bytes), {
    type: RequestType.NOTIFY,
    success: true,
    notify: { script: "post-restore", pid: 4711 },
    cr_errno: -22,
  });
});

/** Values for the fields of a kind of message. */
function valuesFor(fields: MessageFields): fc.Arbitrary<Record<string, unknown>> {
  const one = ([, type]: Field): fc.Arbitrary<unknown> =>
    type === "bool"
      ? fc.boolean()
      : type === "string"
      ? fc.string({ unit: "binary" })
      : type === "int32"
      ? fc.integer()
      : type === "uint32"
      ? fc.nat(2 ** 32 - 1)
      : valuesFor(type.fields);
  const entries = Object.entries(fields).map(([name, field]) => [
    name,
    field[2] === undefined ? one(field) : fc.array(one(field), { minLength: 1, maxLength: 4 }),
  ]);
  return fc.record(Object.fromEntries(entries), { requiredKeys: [], noNullPrototype: true });
}

Deno.test("whatever is encoded is decoded again, whatever its fields", () => {
  for (const { fields } of [request, response, optionsMessage]) {
    const kind: Message<MessageFields> = { fields };
    fc.assert(fc.property(valuesFor(kind.fields), (values) => {
      assert.deepEqual(decode(kind, encode(kind, values as ValuesOf<MessageFields>)), values);
    }));
  }
});

Deno.test("fields that are not known are passed over, of every wire type", () => {
  const kind = message({ a: [1, "int32"] });
  const unknown = "10 96 01 | 19 0102030405060708 | 22 03 616263 | 2d 01020304".replaceAll("|", "");
  assert.deepEqual(decode(kind, hex(`${unknown} 08 05`)), { a: 5 });
  const newer = message({ a: [1, "int32"], z: [1000, "string"], y: [20, response] });
  const bytes = encode(newer, { a: 7, z: "new", y: { success: true } });
  assert.deepEqual(decode(kind, bytes), { a: 7 });
});

Deno.test("of a field that comes twice the last one counts", () => {
  assert.deepEqual(decode(message({ a: [1, "int32"] }), hex("08 01 08 02")), { a: 2 });
});

Deno.test("bytes that are no message are refused with their place, and never read past their end", () => {
  const kind = message({
    a: [1, "int32"],
    s: [2, "string"],
    m: [3, message({ s: [1, "string"] })],
  });
  for (
    const [text, why] of [
      ["08", /byte 1: it ends in a number/],
      ["08 96", /byte 2: it ends in a number/],
      ["08 ffffffffffffffffffff01", /more than 64 bits/],
      ["08 ffffffffffffffffff7f", /more than 64 bits/],
      ["12 05 61", /byte 2: 5 bytes of 1/],
      ["12 ffffffffffffffff7f 61", /9223372036854775807 bytes of 1/],
      ["1a 03 0a 05 61", /byte 4: 5 bytes of 1/],
      ["0a 01 61", /wire type 2 where 0 belongs/],
      ["10 01", /wire type 0 where 2 belongs/],
      ["0b", /wire type 3 where 0 belongs/],
      ["23 24", /unknown wire type 3/],
      ["00 01", /a field numbered 0/],
      ["21 0102", /8 bytes of 2/],
    ] as const
  ) {
    assert.throws(() => decode(kind, hex(text)), (error) => {
      assert(error instanceof CrateError && error.code === "FAILED");
      assert.match(error.message, /^an answer of criu's is malformed at byte \d+: /);
      assert.match(error.message, why, text);
      return true;
    });
  }
});

Deno.test("any bytes either are a message or are refused by the one error", () => {
  const valid = valuesFor(response.fields).map((values) => encode(response, values));
  const broken = fc.tuple(valid, fc.nat(), fc.nat(255)).map(([bytes, at, value]) => {
    const copy = bytes.slice();
    if (copy.length > 0) copy[at % copy.length] = value;
    return copy.slice(0, Math.max(0, copy.length - (value & 3)));
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), broken), (bytes) => {
      try {
        decode(response, new Uint8Array(bytes));
      } catch (error) {
        assert(error instanceof CrateError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("a number that its field cannot hold is refused", () => {
  const kind = message({ a: [1, "int32"], b: [2, "uint32"] });
  for (const values of [{ a: 2 ** 31 }, { a: 0.5 }, { b: -1 }, { b: 2 ** 32 }, { a: NaN }]) {
    assert.throws(() => encode(kind, values), RangeError);
  }
});

Deno.test("the numbers of all fields are those of criu's own description", () => {
  const file = "/usr/include/criu/rpc.proto";
  let text: string;
  try {
    text = Deno.readTextFileSync(file);
  } catch {
    console.log(`skip: ${file} is not installed (apt-get install criu): the numbers of its fields`);
    return;
  }
  const declared = (name: string) => {
    const body = new RegExp(`message ${name} \\{([^}]*)\\}`).exec(text)![1]!;
    const lines = body.matchAll(/^\s*(optional|required|repeated)\s+(\w+)\s+(\w+)\s*=\s*(\d+)/gm);
    return new Map(
      [...lines].map((
        [, rule, type, field, number],
      ) => [field!, { rule, type, number: Number(number) }]),
    );
  };
  for (
    const [name, { fields }] of [
      ["criu_opts", optionsMessage],
      ["criu_req", request],
      ["criu_resp", response],
    ] as const
  ) {
    const known = declared(name);
    for (const [field, [number, type, repeated]] of Object.entries(fields) as [string, Field][]) {
      const its = known.get(field);
      assert.equal(its?.number, number, `${name}.${field}`);
      assert.equal(its.rule === "repeated", repeated === "repeated", `${name}.${field}`);
      if (typeof type === "string" && !/^criu_/.test(its.type!)) {
        assert.equal(its.type, type, `${name}.${field}`);
      }
    }
  }
});
