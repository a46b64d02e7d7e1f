import assert from "node:assert/strict";
import fc from "fast-check";
import type { CrateError } from "../errors.ts";
import { formatSpec, parseJson } from "./json.ts";
import { parseSpec } from "./read.ts";
import { findJsonError } from "./json_position.ts";
import { FULL_SPEC, LEAST_SPEC } from "./testing.ts";

function messageOf(text: string): string {
  let found = "";
  assert.throws(() => parseSpec(text, "config.json"), (error: CrateError) => {
    assert.equal(error.code, "INVALID");
    found = error.message;
    return true;
  });
  return found;
}

Deno.test("a config survives being written and read", () => {
  for (const indent of [0, 2]) {
    assert.deepEqual(parseSpec(formatSpec(FULL_SPEC, indent), "config.json"), FULL_SPEC);
  }
  assert.equal(formatSpec(LEAST_SPEC), JSON.stringify(LEAST_SPEC));
});

Deno.test("unlimited rlimits and 64-bit seccomp masks keep every bit, there and back", () => {
  const max = "18446744073709551615";
  const text = JSON.stringify({
    ...LEAST_SPEC,
    process: {
      ...LEAST_SPEC.process,
      rlimits: [{ type: "RLIMIT_CORE", soft: 9007199254740991, hard: "MAX" }],
    },
    linux: {
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{
          names: ["clone"],
          action: "SCMP_ACT_ERRNO",
          args: [{ index: 0, value: "MAX", valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
        }],
      },
    },
  }).replaceAll('"MAX"', max);
  const spec = parseSpec(text, "config.json");
  const limit = spec.process?.rlimits?.[0];
  assert.equal(limit?.hard, 2n ** 64n - 1n);
  assert.equal(limit?.soft, 9007199254740991);
  assert.equal(spec.linux?.seccomp?.syscalls?.[0]?.args?.[0]?.value, 2n ** 64n - 1n);
  assert.equal(formatSpec(spec), text);
});

Deno.test("a long number is exact wherever it stands in a text, and however long it is", () => {
  const digits = fc.string({
    unit: fc.constantFrom(..."0123456789"),
    minLength: 1,
    maxLength: 20,
  });
  const before = fc.string({ unit: fc.constantFrom(" ", "\n"), maxLength: 40 });
  fc.assert(
    fc.property(before, digits, before, (space, digits, after) => {
      const number = BigInt(digits);
      const text = `${space}{"soft":${number}}${after}`;
      const exact = number > BigInt(Number.MAX_SAFE_INTEGER) ? number : Number(number);
      assert.deepEqual(parseJson(text, "x"), { soft: exact });
    }),
    { numRuns: 1000 },
  );
});

Deno.test("a field that is null counts as left out, a list's item does not", () => {
  const spec = parseSpec(
    '{"ociVersion":"1.2.0","root":{"path":"r"},"process":null,"linux":{"devices": null}}',
    "config.json",
  );
  assert.deepEqual(spec, { ociVersion: "1.2.0", root: { path: "r" }, linux: {} });
  assert.equal(
    messageOf('{"ociVersion":"1.2.0","root":{"path":"r"},"mounts":[null]}'),
    "config.json: mounts[0] must be an object, got null",
  );
  assert.equal(messageOf("null"), "config.json: the config must be an object, got null");
});

Deno.test("a text that is not JSON is refused with line and column", () => {
  const bad: [text: string, message: string][] = [
    ["", "1:1: not JSON: expected a value, the text ends"],
    ['{"a": 1,\n "b" 2}', '2:6: not JSON: expected ":", found 2'],
    ['{"a": 1,\n}', "2:1: not JSON: expected a field's name in double quotes, found }"],
    ['{"a": tru}', "1:7: not JSON: expected a value, found tru"],
    ['{"a": 01}', "1:7: not JSON: expected a value, found 01"],
    ["{'a': 1}", "1:2: not JSON: expected a field's name in double quotes, found '"],
    ["[1, 2", '1:6: not JSON: expected "," or "]", the text ends'],
    ["[1 2]", '1:4: not JSON: expected "," or "]", found 2'],
    ['{"a": "b\n"}', "1:9: not JSON: a string must not go over the end of a line"],
    ['{"a": "b', "1:7: not JSON: this string never ends"],
    ['{"a": "\\x"}', "1:8: not JSON: not an escape in a string: \\x"],
    ["{} {}", "1:4: not JSON: nothing expected after the end, found {"],
    ["\uFEFF{}", "1:1: not JSON: expected a value, found \uFEFF"],
  ];
  for (const [text, message] of bad) {
    const got = messageOf(text);
    assert(got.startsWith(`config.json:${message}`), `${got}\nshould start with\n${message}`);
  }
});

Deno.test("a config's own error names the file and the field", () => {
  assert.equal(
    messageOf('{"ociVersion":"1.2.0","root":{"path":7}}'),
    "config.json: root.path must be a string, got 7",
  );
});

Deno.test("a text nested without end is refused, not a crash", () => {
  const deep = '{"ociVersion":"1.2.0","root":{"path":"r"},"x":' + "[".repeat(200_000);
  assert.match(messageOf(deep), /^config\.json:1:\d+: not JSON: expected a value, the text ends$/);
  assert.match(
    messageOf(`{"a": null, "x": ${"[".repeat(200_000)}${"]".repeat(200_000)}}`),
    /^config\.json is nested too deeply/,
  );
});

Deno.test("the search for an error finds one exactly where JSON.parse does", () => {
  const broken = fc.tuple(
    fc.json(),
    fc.nat(),
    fc.nat(3),
    fc.constantFrom("", ...'{}[],:"\\0.e-\n a'),
  )
    .map(([text, place, length, insert]) => {
      const start = place % (text.length + 1);
      return text.slice(0, start) + insert + text.slice(start + length);
    });
  fc.assert(
    fc.property(fc.oneof(fc.json(), broken, fc.string()), (text) => {
      let valid = true;
      let message = "";
      try {
        JSON.parse(text);
      } catch (error) {
        valid = false;
        message = (error as Error).message;
      }
      const found = findJsonError(text);
      assert.equal(found === undefined, valid, `${JSON.stringify(text)}: ${message}`);
    }),
    { numRuns: 5000 },
  );
});
