import assert from "node:assert/strict";
import { printProgram } from "../../../ffi/mod.ts";
import { mountOverlay, overlayWay } from "./overlay.ts";
import { Scope } from "./scope.ts";

type Data = [string, string?][];

const OWN: Data = [["upperdir", "/s/c/x/upper"], ["workdir", "/s/c/x/work"], ["index", "off"]];
const layers = (count: number) =>
  Array.from({ length: count }, (_, i) => `/s/l/${i.toString(16).padStart(10, "0")}`);
const dataOf = (count: number): Data => [["lowerdir", layers(count).join(":")], ...OWN];

function program(data: Data, overlayAppends?: boolean) {
  const s = new Scope();
  const facts = {
    sourceKinds: new Map(),
    cgroupHierarchies: [],
    lastCapability: 40,
    overlayAppends,
  };
  const options = { at: "/run/at", source: "overlay", data, attributes: 0, label: "the root" };
  const { attached } = mountOverlay(s, facts, options);
  const { p } = s;
  const back = p.label("back");
  p.handler(back);
  p.place(back);
  p.return();
  return { attached, text: printProgram(p.build()) };
}

const count = (text: string, word: string) => text.split(`${word}(`).length - 1;

Deno.test("an overlay of the host's root takes its options one by one", () => {
  const { attached, text } = program([["lowerdir", "/"], ["upperdir", "/u"], ["workdir", "/w"]]);
  assert.equal(attached, false);
  assert.deepEqual([count(text, "fsconfig"), count(text, "fsmount")], [5, 1]);
  assert.equal(count(text, "chdir"), 0);
});

Deno.test("1, 2 and 128 layers are mounted by the same three calls", () => {
  for (const layers of [1, 2, 128]) {
    const { attached, text } = program(dataOf(layers));
    assert.equal(attached, true);
    const calls = ["chdir", "mount", "open_tree", "fsconfig"].map((call) => count(text, call));
    assert.deepEqual(calls, [1, 1, 1, 0], `${layers} layers`);
  }
  assert.match(
    program(dataOf(2)).text,
    /lowerdir=l\/0000000000:l\/0000000001,upperdir=c\/x\/upper/,
  );
});

Deno.test("500 layers are given one by one, where the kernel can", () => {
  assert.equal(overlayWay(dataOf(500)), "layers");
  const { attached, text } = program(dataOf(500), true);
  assert.equal(attached, false);
  // The layers, source, upperdir, workdir, index and "create".
  assert.equal(count(text, "fsconfig"), 505);
  assert.throws(() => program(dataOf(500), false), /needs Linux 6.7/);
  assert.throws(() => program(dataOf(500)), /needs Linux 6.7/);
});

Deno.test("paths without a directory in common, or not absolute, stay as they are", () => {
  const far: Data = [["lowerdir", "/a/1:/b/2"], ...OWN];
  const { text } = program(far);
  assert.equal(count(text, "chdir"), 0);
  assert.match(text, /lowerdir=\/a\/1:\/b\/2/);
  assert.equal(count(program([["lowerdir", "a:b"], ...OWN]).text, "chdir"), 0);
});

Deno.test("an escaped colon never ends a path", () => {
  const long = `/a\\:/etc:${layers(20).join(":")}`;
  assert.equal(overlayWay([["lowerdir", long], ...OWN]), "options");
  assert.equal(overlayWay([["lowerdir", `/a,b:${layers(20).join(":")}`], ...OWN]), "layers");
});
