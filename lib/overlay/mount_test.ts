import assert from "node:assert/strict";
import { MAX_LOWERS, overlayMount } from "./mod.ts";

Deno.test("an overlay names its layers the uppermost first, and where changes go", () => {
  const made = overlayMount({ lowers: ["/l/b", "/l/a"], upper: "/c/u", work: "/c/w" });
  assert.deepEqual(made, {
    destination: "/",
    type: "overlay",
    source: "overlay",
    options: [
      "lowerdir=/l/b:/l/a",
      "upperdir=/c/u",
      "workdir=/c/w",
      "redirect_dir=nofollow",
      "metacopy=off",
      "index=off",
    ],
  });
});

Deno.test("an overlay without an upper directory names none: the compiler makes one that ends", () => {
  const { options } = overlayMount({ lowers: ["/l/a"], volatile: true, userxattr: true });
  assert.deepEqual(options?.filter((option) => /upper|work|volatile/.test(option)), []);
  assert.ok(options?.includes("userxattr"));
});

Deno.test("500 layers are one overlay, 501 are refused", () => {
  const layers = (count: number) => Array.from({ length: count }, (_, i) => `/l/${i}`);
  assert.match(overlayMount({ lowers: layers(MAX_LOWERS) }).options![0]!, /:\/l\/499$/);
  assert.throws(() => overlayMount({ lowers: layers(MAX_LOWERS + 1) }), /at most 500 layers/);
  assert.throws(() => overlayMount({ lowers: [] }), /needs a layer/);
});

Deno.test("a path that overlayfs would read otherwise is refused", () => {
  for (const path of ["/a,b", "/a:b", "/a\\b", "relative", "/a\nb"]) {
    assert.throws(() => overlayMount({ lowers: [path] }), /cannot be part of an overlay/);
    const own = { lowers: ["/l"], upper: path, work: "/w" };
    assert.throws(() => overlayMount(own), /cannot be part of an overlay/);
  }
  assert.throws(() => overlayMount({ lowers: ["/l"], upper: "/u" }), /come together/);
});
