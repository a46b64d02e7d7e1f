import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { sha256 } from "./sha256.ts";

const theirs = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

Deno.test("short digests are those of node:crypto", () => {
  for (let length = 0; length < 200; length++) {
    const bytes = new Uint8Array(length).fill(length);
    assert.equal(sha256(bytes), theirs(bytes), `${length}`);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => sha256(bytes) === theirs(bytes)),
    { numRuns: 300 },
  );
});
