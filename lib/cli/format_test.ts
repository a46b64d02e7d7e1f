import assert from "node:assert/strict";
import { formatAge, formatSize, formatTable, printable, shorten } from "./format.ts";

Deno.test("a size has three digits and its unit", () => {
  const sizes = [0, 999, 1000, 1536, 7_834_000, 999_499_999, 999_500_000, 1.5e12];
  const shown = ["0B", "999B", "1kB", "1.54kB", "7.83MB", "999MB", "1GB", "1.5TB"];
  assert.deepEqual(sizes.map(formatSize), shown);
});

Deno.test("an age is the largest whole span", () => {
  const now = Date.parse("2026-03-01T00:00:00Z");
  const age = (time: string | undefined) => formatAge(time, now);
  assert.equal(age("2026-03-01T00:00:00Z"), "just now");
  assert.equal(age("2026-02-28T23:59:59Z"), "1 second ago");
  assert.equal(age("2026-02-28T20:00:00Z"), "4 hours ago");
  assert.equal(age("2026-02-10T00:00:00Z"), "2 weeks ago");
  assert.equal(age("1970-01-01T00:00:00Z"), "56 years ago");
  assert.equal(age("2030-01-01T00:00:00Z"), "just now");
  assert.deepEqual([age("soon"), age(undefined)], ["N/A", "N/A"]);
});

Deno.test("a table's columns are as wide as what is in them", () => {
  assert.equal(formatTable([["A", "B"], ["long", "x"]]), "A      B\nlong   x");
});

Deno.test("a stranger's text cannot move the cursor", () => {
  assert.equal(printable("a\x1b[2Jb\nc\u009bd"), "a [2Jb c d");
  assert.equal(formatTable([["A"], ["\x1b[31m"]]), "A\n [31m");
});

Deno.test("a text that is too long ends in an ellipsis", () => {
  assert.deepEqual([shorten("abcd", 4), shorten("abcde", 4)], ["abcd", "abc…"]);
});
