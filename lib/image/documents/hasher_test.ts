import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Hasher } from "./hasher.ts";

Deno.test("a hasher's digests are node:crypto's, in whatever pieces and of whatever size", async () => {
  const bytes = new Uint8Array(5 << 20).map((_, i) => i * i);
  for (const algorithm of ["sha256", "sha512"] as const) {
    for (const size of [0, 1, 1000, 4 << 20, (4 << 20) + 1, bytes.length]) {
      const all = bytes.subarray(0, size);
      const theirs = createHash(algorithm).update(all).digest("hex");
      for (const [told, piece] of [[undefined, 777_777], [size, 1 << 20], [Infinity, size]]) {
        const hasher = new Hasher(algorithm, told);
        for (let at = 0; at < size; at += piece!) {
          const part = all.slice(at, at + piece!);
          if (at % 2 === 0) hasher.keep(part);
          else {
            hasher.update(part);
            part.fill(0); // they may be used again
          }
        }
        assert.equal(await hasher.digest(), `${algorithm}:${theirs}`, `${size} in ${piece}`);
      }
    }
  }
});

Deno.test("what is kept may be used again when it is read, and not before", async () => {
  const hasher = new Hasher("sha256", 64 << 20);
  const expected = createHash("sha256");
  let read = 0;
  for (let i = 0; i < 40; i++) {
    const part = new Uint8Array(1 << 20).fill(i);
    expected.update(part);
    hasher.keep(part);
    hasher.whenRead(() => {
      part.fill(0xff);
      read++;
    });
    await hasher.ready();
    assert.ok(i - read <= 5, `${i - read} wait`);
  }
  await hasher.idle();
  assert.equal(read, 40);
  assert.equal(await hasher.digest(), `sha256:${expected.digest("hex")}`);
});
