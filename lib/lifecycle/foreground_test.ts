import assert from "node:assert/strict";
import fc from "fast-check";
import { rawSettings } from "./foreground.ts";

/** The kernel's struct termios: what glibc's, which is longer, begins with. */
const SIZE = 36;

/** glibc's cfmakeraw(3). */
function makeRaw(settings: Uint8Array): Uint8Array {
  const whole = new Uint8Array(64);
  whole.set(settings);
  libc().symbols.cfmakeraw(whole);
  return whole.slice(0, SIZE);
}

function libc() {
  return Deno.dlopen("libc.so.6", { cfmakeraw: { parameters: ["buffer"], result: "void" } });
}

Deno.test("raw mode is what cfmakeraw(3) makes of any settings", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: SIZE, maxLength: SIZE }), (settings) => {
    const before = settings.slice();
    assert.deepEqual(rawSettings(settings), new Uint8Array(makeRaw(settings)));
    assert.deepEqual(settings, before, "the settings to go back to stay as they are");
  }));
});

Deno.test("raw mode made of raw mode is the same", () => {
  const raw = rawSettings(new Uint8Array(SIZE).fill(0xff));
  assert.deepEqual(rawSettings(raw), raw);
});
