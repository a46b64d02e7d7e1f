import assert from "node:assert/strict";
import { after, pause } from "./timers.ts";

Deno.test("a pause takes its time, and the signal ends it before", async () => {
  const start = performance.now();
  await pause(20);
  assert.ok(performance.now() - start >= 19);
  const stop = new AbortController();
  const paused = pause(60_000, stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(paused, /^Error: enough$/);
  await assert.rejects(pause(60_000, stop.signal), /^Error: enough$/);
  await pause(0.2);
});

Deno.test("what is prevented is not done, and no process waits for it", async () => {
  const done: string[] = [];
  const prevent = after(5, () => done.push("prevented"));
  after(10, () => done.push("done"));
  const ages = after(1e15, () => done.push("ages ago"));
  prevent();
  await pause(20);
  assert.deepEqual(done, ["done"]);
  ages();
  const timers = new URL("./timers.ts", import.meta.url).href;
  const code = `import { after } from "${timers}"; after(100_000, () => {})(); console.log("end");`;
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", code] }).output();
  assert.equal(new TextDecoder().decode(stdout), "end\n");
});
