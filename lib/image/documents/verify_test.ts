import assert from "node:assert/strict";
import type { Descriptor } from "../types.ts";
import { chainIds, checkDocument, digestOf, verifiedStream } from "./verify.ts";

const bytes = new TextEncoder().encode("hello");
const HELLO = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const descriptor: Descriptor = { mediaType: "x", digest: HELLO, size: 5 };

const through = (data: Uint8Array<ArrayBuffer>, wanted: Descriptor) =>
  new Response(verifiedStream(ReadableStream.from([data.slice(0, 2), data.slice(2)]), wanted, "x"))
    .bytes();

Deno.test("what a descriptor describes passes, by either algorithm", async () => {
  assert.equal(digestOf(bytes), HELLO);
  checkDocument(bytes, descriptor, "x");
  assert.deepEqual(await through(bytes, descriptor), bytes);
  const long = { ...descriptor, digest: digestOf(bytes, "sha512") };
  assert.deepEqual(await through(bytes, long), bytes);
});

Deno.test("other bytes are refused: too many, too few, or another digest", async () => {
  const cases: [Descriptor, RegExp, RegExp][] = [
    [{ ...descriptor, size: 4 }, /5 bytes where 4/, /more than its 4 bytes/],
    [{ ...descriptor, size: 6 }, /5 bytes where 6/, /5 bytes where 6/],
    [{ ...descriptor, digest: digestOf(new Uint8Array()) }, /has the digest/, /has the digest/],
  ];
  for (const [wanted, whole, streamed] of cases) {
    const error = { name: "CrateError", code: "INVALID" };
    assert.throws(() => checkDocument(bytes, wanted, "x"), { ...error, message: whole });
    await assert.rejects(through(bytes, wanted), { ...error, message: streamed });
  }
});

Deno.test("a chain ID is of a layer and all below it", () => {
  const [a, b, c] = ["a", "b", "c"].map((text) => digestOf(new TextEncoder().encode(text)));
  const two = digestOf(new TextEncoder().encode(`${a} ${b}`));
  const three = digestOf(new TextEncoder().encode(`${two} ${c}`));
  assert.deepEqual(chainIds([a!, b!, c!]), [a, two, three]);
  assert.deepEqual(chainIds([]), []);
});
