import assert from "node:assert/strict";
import { nearest } from "./near.ts";

const words = ["root", "log.level", "log.file", "cgroup.memory_limit", "cgroup.memory_high"];

Deno.test("a slip of the fingers finds the word that was meant", () => {
  assert.equal(nearest("rot", words), "root", "a letter left out");
  assert.equal(nearest("rooot", words), "root", "a letter too many");
  assert.equal(nearest("roto", words), "root", "two letters swapped");
  assert.equal(nearest("log.levil", words), "log.level", "a wrong letter");
  assert.equal(nearest("cgroup.memry_limit", words), "cgroup.memory_limit");
});

Deno.test("a key without its table finds the whole key", () => {
  assert.equal(nearest("memory_high", words), "cgroup.memory_high");
});

Deno.test("of two near words the nearer one is meant", () => {
  assert.equal(nearest("log.fle", ["log.flee", "log.flx", "log.fle1"]), "log.flee");
  assert.equal(nearest("abcdef", ["abcxyf", "abcdex"]), "abcdex");
});

Deno.test("a word that is like none finds nothing", () => {
  for (const word of ["", "x", "to", "frobnicate", "cgroup"]) {
    assert.equal(nearest(word, words), undefined, word);
  }
});
