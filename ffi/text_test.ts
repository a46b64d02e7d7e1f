import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeText, encodeInto, encodeText } from "./text.ts";

Deno.test("text and bytes are what the runtime's own coders make of them", () => {
  const texts = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.string({ unit: "binary-ascii", minLength: 4000, maxLength: 4200 }),
    fc.constant("\ufeff"),
  );
  fc.assert(fc.property(texts, (text) => {
    const bytes = new TextEncoder().encode(text);
    assert.deepEqual(encodeText(text), bytes);
    const target = new Uint8Array(bytes.length + 3);
    assert.equal(encodeInto(text, target), bytes.length);
    assert.deepEqual(target.subarray(0, bytes.length), bytes);
    assert.equal(decodeText(bytes), new TextDecoder().decode(bytes));
    assert.equal(decodeText(target.subarray(0, bytes.length)), new TextDecoder().decode(bytes));
  }));
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    assert.equal(decodeText(bytes), new TextDecoder().decode(bytes));
  }));
  // Around the length from which on the decoder is asked, from anywhere in a buffer, with one letter that is none of
  // ASCII's, or without.
  const lengths = fc.oneof(fc.nat(20), fc.integer({ min: 16_380, max: 16_390 }));
  fc.assert(fc.property(lengths, fc.nat(3), fc.nat(20_000), (length, from, at) => {
    const bytes = new Uint8Array(length + from).fill(65).subarray(from);
    if (at < length) bytes.set(encodeText("é").subarray(0, length - at), at);
    assert.equal(decodeText(bytes), new TextDecoder().decode(bytes));
  }));
});
