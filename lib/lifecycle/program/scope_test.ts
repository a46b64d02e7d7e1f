import assert from "node:assert/strict";
import { posix } from "node:path";
import fc from "fast-check";
import { below } from "./scope.ts";

Deno.test("a path below the root has no leading slash and never leads above", () => {
  const cases = {
    "/": ".",
    "": ".",
    ".": ".",
    "..": ".",
    "/../../etc": "etc",
    "//a///b/": "a/b",
    "/a/./b/../c": "a/c",
    "a/..": ".",
    "...": "...",
    "/a/..b": "a/..b",
  };
  for (const [path, relative] of Object.entries(cases)) assert.equal(below(path), relative, path);
});

Deno.test("a path below the root is the normal form of the path from the root", () => {
  const part = fc.constantFrom("a", "b", "..", ".", "", "...", "c d", "ü");
  fc.assert(fc.property(fc.array(part), fc.boolean(), (parts, absolute) => {
    const path = (absolute ? "/" : "") + parts.join("/");
    const normal = posix.normalize(`/${path}`).replace(/^\/+|\/+$/g, "");
    assert.equal(below(path), normal || ".");
    assert.equal(below(below(path)), below(path));
  }));
});
