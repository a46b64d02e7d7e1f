import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../../errors.ts";
import { annotatedProperties } from "./annotations.ts";
import { parseVariant } from "./gvariant.ts";

const parse = (text: string) => {
  const { signature, value } = parseVariant(text, "it");
  return [signature, value];
};

Deno.test("GVariant's text becomes a value with its type", () => {
  const cases: [text: string, signature: string, value: unknown][] = [
    ["true", "b", true],
    [" false ", "b", false],
    ["5", "i", 5],
    ["-7", "i", -7],
    ["+7", "i", 7],
    ["0x1f", "i", 31],
    ["-0x10", "i", -16],
    ["017", "i", 15],
    ["uint64 5", "t", 5n],
    ["uint64 18446744073709551615", "t", (1n << 64n) - 1n],
    ["int64 -9223372036854775808", "x", -(1n << 63n)],
    ["byte 255", "y", 255],
    ["1.5", "d", 1.5],
    ["1e3", "d", 1000],
    [".5", "d", 0.5],
    ["double 3", "d", 3],
    ["-inf", "d", -Infinity],
    ["'a'", "s", "a"],
    ['"a\'b"', "s", "a'b"],
    [String.raw`'a\'b\n\t\\A\u00b5\U0001F600'`, "s", "a'b\n\t\\Aµ😀"],
    ["objectpath '/a'", "o", "/a"],
    ["b'ab'", "ay", new Uint8Array([97, 98, 0])],
    ["['a', 'b']", "as", ["a", "b"]],
    ["[uint32 1, 2, 3]", "au", [1, 2, 3]],
    ["[byte 1, 2]", "ay", new Uint8Array([1, 2])],
    ["@as []", "as", []],
    ["@ay [1,2]", "ay", new Uint8Array([1, 2])],
    ["{'a': 1, 'b': 2}", "a{si}", [["a", 1], ["b", 2]]],
    ["@a{sv} {}", "a{sv}", []],
    ["<uint16 5>", "v", { signature: "q", value: 5 }],
    ["('a', uint64 5)", "(st)", ["a", 5n]],
    ["(1,)", "(i)", [1]],
    ["[('/dev/sda', uint64 100), ('/dev/sdb', 200)]", "a(st)", [
      ["/dev/sda", 100n],
      ["/dev/sdb", 200n],
    ]],
  ];
  for (const [text, signature, value] of cases) {
    assert.deepEqual(parse(text), [signature, value], text);
  }
});

Deno.test("what is no GVariant text is refused, whatever it is", () => {
  for (
    const text of [
      "",
      "uint64",
      "uint64 -1",
      "uint64 true",
      "byte 256",
      "2147483648",
      "5x",
      "yes",
      "'a",
      "'a' 'b'",
      String.raw`'\U00110000'`,
      String.raw`'\u0000'`,
      "[]",
      "{}",
      "[1, 'a']",
      "[1 2]",
      "{'a' 1}",
      "<5",
      "@as [1]",
      "@",
      "[".repeat(20),
      "5 # a comment",
    ]
  ) {
    assert.throws(
      () => parse(text),
      (error) => error instanceof CrateError && error.code === "INVALID",
      text,
    );
  }
  const parts = fc.constantFrom(
    ..."uint64 true ' \" [ ] { } ( ) < > , : @ as 5 -1 1.5 \\ b".split(" "),
  );
  fc.assert(fc.property(fc.array(parts, { maxLength: 12 }), (words) => {
    try {
      parse(words.join(" "));
    } catch (error) {
      assert.ok(error instanceof CrateError, String(error));
    }
  }));
});

Deno.test("annotations are a unit's properties, those in seconds in microseconds", () => {
  const properties = annotatedProperties({
    "org.systemd.property.TimeoutStopSec": "uint64 5",
    "org.systemd.property.RuntimeMaxSec": "1.5",
    "org.systemd.property.TimeoutStartSec": "int32 2",
    "org.systemd.property.CollectMode": "'inactive-or-failed'",
    "org.systemd.property.SendSIGHUP": "true",
    "org.systemd.propertyNot": "5",
    "other": "5",
  });
  assert.deepEqual(properties, [
    { name: "TimeoutStopUSec", signature: "t", value: 5_000_000n },
    { name: "RuntimeMaxUSec", signature: "t", value: 1_500_000n },
    { name: "TimeoutStartUSec", signature: "t", value: 2_000_000n },
    { name: "CollectMode", signature: "s", value: "inactive-or-failed" },
    { name: "SendSIGHUP", signature: "b", value: true },
  ]);
  assert.deepEqual(annotatedProperties(undefined), []);
});

Deno.test("an annotation that is no property is refused by its name", () => {
  const refused = (name: string, text: string, message: RegExp) =>
    assert.throws(() => annotatedProperties({ [`org.systemd.property.${name}`]: text }), message);
  refused("Ab", "5", /annotations\["org\.systemd\.property\.Ab"\] must end in the name/);
  refused("A_bc", "5", /must end in the name/);
  refused("", "5", /must end in the name/);
  refused("TasksMax", "many", /TasksMax"\] must be a value as GVariant's text has it/);
  refused("TimeoutStopSec", "'5s'", /must be a number of seconds, got '5s'/);
  refused("TimeoutStopSec", "-1", /must be a number of seconds/);
  refused("TimeoutStopSec", "uint64 18446744073709551615", /must be a number of seconds/);
  refused("TimeoutStopSec", "true", /must be a number of seconds/);
});
