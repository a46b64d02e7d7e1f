import assert from "node:assert/strict";
import { closingLine, runStage } from "./stages.ts";

const run = (script: string, seconds = 10) =>
  runStage("a stage of the test", ["sh", "-c", script], { seconds, counts: true, later: true });

Deno.test("deno test's closing line is read with and without steps, ignored and filtered tests", () => {
  assert.deepEqual(closingLine("ok | 5 passed (12ms)\n"), undefined);
  const lines: [string, number[]][] = [
    ["ok | 5 passed | 0 failed (12ms)", [5, 0, 0]],
    ["ok | 5 passed (2 steps) | 0 failed (1s)", [5, 0, 0]],
    ["FAILED | 2 passed (1 step) | 2 failed (1 step) | 1 ignored (67ms)", [2, 2, 1]],
    ["ok | 1 passed | 0 failed | 3 ignored (2 steps) | 4 filtered out (7ms)", [1, 0, 3]],
  ];
  for (const [line, [passed, failed, skipped]] of lines) {
    assert.deepEqual(closingLine(`a test ... ok\n\n${line}\n\n`), { passed, failed, skipped });
  }
});

Deno.test("a stage is counted by what it says last, and says why tests were skipped", async () => {
  const script = "echo 'skip: no root'; echo 'ok | 3 passed | 0 failed | 1 ignored (1ms)'";
  const { passed, failed, skipped, reasons } = await run(script);
  assert.deepEqual({ passed, failed, skipped, reasons }, {
    passed: 3,
    failed: 0,
    skipped: 1,
    reasons: ["no root"],
  });
});

Deno.test("a stage that ends without a closing line, or with an error after one, has failed", async () => {
  for (const script of ["true", "false", "echo 'ok | 3 passed | 0 failed (1ms)'; exit 1"]) {
    assert.equal((await run(script)).failed, 1);
  }
});

Deno.test("a stage that takes too long is stopped with all that it started", async () => {
  const result = await run("echo 'ok | 3 passed | 0 failed (1ms)'; sleep 1000 & sleep 1000", 0.2);
  assert.equal(result.failed, 1);
  assert.ok(result.seconds < 5);
});

Deno.test("a failed stage tells its errors, or what it said last", async () => {
  const report = "echo ' ERRORS '; echo; echo 'error: 1 is not 2'; echo; echo ' FAILURES '";
  const failed = await run(`${report}; echo 'FAILED | 0 passed | 1 failed (1ms)'; exit 1`);
  assert.equal(failed.errors, "error: 1 is not 2");
  assert.equal((await run("echo no such thing >&2; exit 1")).errors, "no such thing");
  assert.equal((await run("echo 'ok | 3 passed | 0 failed (1ms)'")).errors, "");
});
