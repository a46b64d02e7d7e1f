import assert from "node:assert/strict";
import { close, O_CLOEXEC, POLLIN, syscall, writeAll } from "../../ffi/mod.ts";
import { forget, untilReady } from "./ready.ts";

function pipe(): { readEnd: number; writeEnd: number } & Disposable {
  const pair = new Int32Array(2);
  syscall("pipe2", new Uint8Array(pair.buffer), O_CLOEXEC);
  const [readEnd, writeEnd] = pair as unknown as [number, number];
  return {
    readEnd,
    writeEnd,
    [Symbol.dispose]() {
      close(readEnd);
      close(writeEnd);
    },
  };
}

Deno.test("a wait ends when its descriptor is ready, when its time is over, or when it is forgotten", async () => {
  using quiet = pipe();
  using busy = pipe();
  const forgotten = untilReady(quiet.readEnd, POLLIN);
  const late = untilReady(busy.readEnd, POLLIN, 60_000);
  // One that is shorter than what the thread waits for already.
  const started = performance.now();
  assert.equal(await untilReady(quiet.readEnd, POLLIN, 30), false);
  assert(performance.now() - started >= 30);
  assert.equal(await untilReady(quiet.readEnd, POLLIN, 0), false);
  writeAll(busy.writeEnd, "x");
  assert.equal(await late, true);
  assert.equal(await untilReady(busy.readEnd, POLLIN, 0), true);
  forget(quiet.readEnd);
  assert.equal(await forgotten, false);
});

Deno.test("many waits with times of their own end in the order of their times", async () => {
  using quiet = pipe();
  const times = [50, 10, 40, 20, 30];
  const order: number[] = [];
  await Promise.all(times.map(async (time) => {
    assert.equal(await untilReady(quiet.readEnd, POLLIN, time), false);
    order.push(time);
  }));
  assert.deepEqual(order, times.toSorted((a, b) => a - b));
});
