import assert from "node:assert/strict";
import fc from "fast-check";
import { parseChallenges } from "./challenge.ts";

const read = (header: string) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

Deno.test("challenges are read as RFC 9110 has them, several in one line too", () => {
  const cases: [header: string, challenges: unknown][] = [
    ['Basic realm="a b"', [["basic", { realm: "a b" }]]],
    ["BASIC", [["basic", {}]]],
    [
      'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
      [["bearer", {
        realm: "https://auth.example/token",
        service: "registry.example",
        scope: "repository:a/b:pull,push",
      }]],
    ],
    [
      'Basic realm="one", Bearer realm="two" , service=three',
      [["basic", { realm: "one" }], ["bearer", { realm: "two", service: "three" }]],
    ],
    ['Basic realm="quoted \\"word\\", and a comma", charset="UTF-8"', [[
      "basic",
      { realm: 'quoted "word", and a comma', charset: "UTF-8" },
    ]]],
    ["Negotiate abc==, Basic realm=x", [["negotiate", {}], ["basic", { realm: "x" }]]],
    ["", []],
  ];
  for (const [header, challenges] of cases) assert.deepEqual(read(header), challenges, header);
});

Deno.test("whatever a server sends as a challenge, it is read to its end", () => {
  const part = fc.constantFrom(
    "Bearer",
    "Basic",
    "realm",
    "=",
    '"',
    "\\",
    ",",
    " ",
    "a",
    "https://x",
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
      for (const { scheme } of parseChallenges(parts.join(""))) {
        assert.equal(scheme, scheme.toLowerCase());
      }
    }),
    { numRuns: 20_000 },
  );
});
