import assert from "node:assert/strict";
import { nearest } from "./nearest.ts";

Deno.test("a word with a slip finds the word that was meant", () => {
  const words = ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"];
  assert.equal(nearest("CAP_NET_ADMN", words), "CAP_NET_ADMIN");
  assert.equal(nearest("CAP_SYS_ADMINS", words), "CAP_SYS_ADMIN");
  assert.equal(nearest("CAP_NTE_RAW", words), "CAP_NET_RAW");
});

Deno.test("a word that is like none finds none, however long the words are", () => {
  assert.equal(nearest("CAP_FLY", ["CAP_NET_ADMIN"]), undefined);
  assert.equal(nearest("x", ["y".repeat(1 << 20)]), undefined);
  assert.equal(nearest("x".repeat(1 << 20), ["x"]), undefined);
});
