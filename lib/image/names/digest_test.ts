import assert from "node:assert/strict";
import { digestAlgorithm, digestHex, isDigest, parseDigest } from "./digest.ts";

const HEX = "0123456789abcdef".repeat(4);

Deno.test("a digest is taken apart", () => {
  const digest = parseDigest(`sha512:${HEX}${HEX}`);
  assert.equal(digestAlgorithm(digest), "sha512");
  assert.equal(digestHex(digest), HEX + HEX);
  assert.equal(digestAlgorithm(parseDigest(`sha256:${HEX}`)), "sha256");
});

Deno.test("what is no digest is refused with the reason", () => {
  const bad: [string, RegExp][] = [
    ["", /has no algorithm/],
    [HEX, /has no algorithm/],
    [`sha1:${HEX}`, /of the algorithm "sha1"/],
    [`SHA256:${HEX}`, /of the algorithm "SHA256"/],
    [`sha256:${HEX}0`, /has 65 characters after sha256: where 64/],
    [`sha512:${HEX}`, /has 64 characters after sha512: where 128/],
    [`sha256:${HEX.toUpperCase()}`, /other characters/],
    [`sha256:../${HEX.slice(3)}`, /other characters/],
    [`sha256:${HEX}\n`, /has 65 characters/],
  ];
  for (const [text, words] of bad) {
    assert(!isDigest(text));
    assert.throws(() => parseDigest(text), { name: "CrateError", code: "INVALID", message: words });
  }
  assert(!isDigest(undefined) && !isDigest([`sha256:${HEX}`]));
});
