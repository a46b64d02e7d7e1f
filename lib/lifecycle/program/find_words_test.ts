import assert from "node:assert/strict";
import fc from "fast-check";
import { findWords, latin1 } from "./find_words.ts";

Deno.test("words are found where they stand, the longest at each place", () => {
  assert.deepEqual(findWords("/ab/abc/a.b", ["ab", "abc", "a.b"]), [
    { at: 1, word: 0 },
    { at: 4, word: 1 },
    { at: 8, word: 2 },
  ]);
  assert.deepEqual(findWords("anything", []), []);
  // A point is one, and nothing else.
  assert.deepEqual(findWords("axb", ["a.b"]), []);
});

Deno.test("what words are put in place of is all of a text", () => {
  const letters = fc.constantFrom("a", "b", "/");
  const texts = fc.string({ unit: letters, maxLength: 30 });
  const words = fc.uniqueArray(fc.string({ unit: letters, minLength: 1, maxLength: 3 }), {
    maxLength: 3,
  });
  fc.assert(
    fc.property(texts, words, (text, words) => {
      let [end, rebuilt] = [0, ""];
      for (const { at, word } of findWords(text, words)) {
        assert(at >= end);
        rebuilt += text.slice(end, at) + words[word];
        end = at + words[word]!.length;
      }
      assert.equal(rebuilt + text.slice(end), text);
    }),
  );
});

Deno.test("each byte is a character", () => {
  const bytes = new Uint8Array(256).map((_, i) => i);
  const text = latin1(bytes);
  assert.equal(text.length, 256);
  assert.equal(new Set(text).size, 256);
});
