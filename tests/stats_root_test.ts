import assert from "node:assert/strict";
import { test, until } from "./support/mod.ts";

// crate stats and wait.

test("stats tells what each container uses", async (box) => {
  const busy = await box.detached("while :; do :; done", ["-m", "64m", "--name", "busy"]);
  const idle = await box.detached("sleep 100", ["--name", "idle"]);
  const lines = (await box.ok(["stats", "--no-stream", "--format", "json"])).split("\n");
  const rows = Object.fromEntries(
    lines.map((line) => JSON.parse(line)).map((row) => [row.id, row]),
  );
  assert.deepEqual(Object.keys(rows).sort(), [busy, idle].sort());
  assert.ok(rows.busy.cpuPercent > 20 && rows.busy.cpuPercent < 150, lines.join("\n"));
  assert.ok(rows.idle.cpuPercent < 10, lines.join("\n"));
  assert.equal(rows.busy.memoryLimit, 64 << 20);
  assert.ok(rows.busy.memory > 0 && rows.busy.memory < 64 << 20);
  assert.deepEqual([rows.busy.pids, rows.busy.received, rows.busy.sent], [1, 0, 0]);
  const table = await box.ok(["stats", "--no-stream", "busy"]);
  assert.match(
    table,
    /^ID +CPU +MEMORY +LIMIT +NET IN +NET OUT +READ +WRITTEN +PIDS\nbusy +\d+\.\d\d% +\S+B +67\.1MB /,
  );
  await box.ok(["delete", "-f", "busy"]);
  const gone = await box.crate(["stats", "--no-stream", "idle", "busy"]);
  assert.match(gone.stderr, /^crate: container "busy" does not exist/);
  await box.ok(["stop", "-t", "0", "idle"]);
  const stopped = await box.crate(["stats", "--no-stream", "idle"]);
  assert.deepEqual([stopped.code, stopped.stderr], [
    125,
    'crate: container "idle" is not running\n',
  ]);
  await box.ok(["delete", "idle"]);
});

test("wait prints the exit codes of those that end, and of those that have ended", async (box) => {
  const go = box.mkdir("go");
  const words = ["-v", `${go}:/go`];
  const late = await box.detached("until test -e /go/on; do sleep 0.05; done; exit 7", words);
  const early = await box.detached("exit 3");
  const waiting = box.start(["wait", late, early]);
  await until("its end", async () => (await box.state(early)).status === "stopped");
  assert.equal(waiting.stdout, "");
  Deno.writeTextFileSync(`${go}/on`, "");
  const { code, stdout } = await waiting.ended;
  assert.deepEqual([code, stdout], [0, "7\n3\n"]);
  assert.match(
    (await box.crate(["wait", "nobody"])).stderr,
    /^crate: container "nobody" does not exist/,
  );
  await box.ok(["delete", late, early]);
});
