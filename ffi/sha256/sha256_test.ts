import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { generate } from "../../scripts/assemble.ts";
import { has } from "../_tools.ts";
import { canHash, Sha256 } from "./sha256.ts";

/** Elsewhere it is not used. */
const ignore = !canHash();

const theirs = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

Deno.test("the machine code is what its source assembles to", {
  ignore: !has("as") || !has("aarch64-linux-gnu-as"),
}, async () => {
  const file = new URL("./bytes.ts", import.meta.url).pathname;
  assert.equal(await Deno.readTextFile(file), (await generate()).get(file));
});

Deno.test("digests are those of the standard's examples", { ignore }, () => {
  // https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values
  const cases = [
    ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ],
    ["a".repeat(1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"],
  ] as const;
  for (const [text, digest] of cases) {
    const hash = new Sha256();
    hash.update(new TextEncoder().encode(text));
    assert.equal(hash.digest(), digest);
  }
});

Deno.test("digests are node:crypto's, of every size and in all pieces", { ignore }, async () => {
  const bytes = new Uint8Array(3000).map((_, i) => i * i >> 3);
  for (let size = 0; size <= 400; size++) {
    for (const piece of [1, 7, 63, 64, 65, 127, 128, 129, 400]) {
      const here = new Sha256();
      const there = new Sha256();
      for (let at = 0; at < size; at += piece) {
        const part = bytes.subarray(at, Math.min(size, at + piece));
        here.update(part);
        await there.updateAsync(part);
      }
      const digest = theirs(bytes.subarray(0, size));
      assert.equal(here.digest(), digest, `${size} bytes in pieces of ${piece}`);
      assert.equal(there.digest(), digest, `${size} bytes in pieces of ${piece}, elsewhere`);
    }
  }
  const random = crypto.getRandomValues(new Uint8Array(60_000));
  for (let round = 0; round < 300; round++) {
    const hash = new Sha256();
    for (let at = 0; at < random.length;) {
      const part = random.subarray(at, at + Math.floor(Math.random() ** 4 * 20_000));
      at += part.length;
      if (Math.random() < 0.5) hash.update(part);
      else await hash.updateAsync(part);
    }
    assert.equal(hash.digest(), theirs(random));
  }
});

Deno.test("a length of more than 32 bits is counted", { ignore }, () => {
  const part = new Uint8Array(1 << 26);
  const hash = new Sha256();
  const expected = createHash("sha256");
  // 2^29 bytes are 2^32 bits.
  for (let i = 0; i < 9; i++) {
    hash.update(part);
    expected.update(part);
  }
  assert.equal(hash.digest(), expected.digest("hex"));
});
