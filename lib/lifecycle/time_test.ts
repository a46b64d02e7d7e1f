import assert from "node:assert/strict";
import fc from "fast-check";
import { formatTime } from "./time.ts";

Deno.test("a time is written as Date writes it", () => {
  const last = Date.UTC(2500, 0);
  fc.assert(fc.property(fc.integer({ min: 0, max: last }), (time) => {
    assert.equal(formatTime(time), new Date(time).toISOString());
  }));
  // Every day of all kinds of years, its first and its last moment.
  for (let time = Date.UTC(1996, 0); time < Date.UTC(2105, 0); time += 24 * 60 * 60 * 1000) {
    for (const moment of [time, time - 1]) {
      assert.equal(formatTime(moment), new Date(moment).toISOString());
    }
  }
});
