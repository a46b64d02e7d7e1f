import assert from "node:assert/strict";
import { SIGKILL, trySyscall } from "../ffi/mod.ts";
import { pauseContainer } from "../lib/lifecycle/mod.ts";
import { delay, Running, test, until } from "./support/mod.ts";

// crate pause, resume and top.

const LISTENER = "trap 'exit 3' TERM; echo up; while :; do sleep 0.02; done";
const COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done";

test("a paused container stands still, is shown as paused, and goes on where it was", async (box) => {
  const id = await box.detached(COUNTER);
  await box.logged(id, "3");
  assert.equal(await box.ok(["pause", id]), id);
  assert.equal((await box.state(id)).status, "paused");
  assert.match(await box.ok(["list"]), new RegExp(`^${id} +paused +\\d+ `, "m"));
  const log = async () => (await box.crate(["logs", id])).stdout;
  const before = await log();
  await delay(300);
  assert.equal(await log(), before);
  for (const words of [["pause", id], ["exec", id, "true"]]) {
    const { code, stderr } = await box.crate(words);
    assert.deepEqual([code, /^crate: container ".*" is paused/.test(stderr)], [125, true], stderr);
  }
  assert.equal(await box.ok(["resume", id]), id);
  assert.equal((await box.state(id)).status, "running");
  await until("more", async () => (await log()).length > before.length);
  const twice = await box.crate(["resume", id]);
  assert.deepEqual(twice.stderr, `crate: container "${id}" is not paused\n`);
  await box.ok(["delete", "-f", id]);
});

test("a container that was killed a moment before it is paused ends all the same", async (box) => {
  const id = await box.detached("exec sleep 1000");
  const pid = await box.running(id);
  // It has no processor while somebody more important is on it: neither SIGKILL nor the freezer gets to it before.
  assert.equal((await new Running(["taskset", "-pc", "1", `${pid}`]).ended).code, 0);
  const important = new Running([
    "python3",
    "-c",
    `import os, time
os.sched_setaffinity(0, {1})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
end = time.monotonic() + 0.3
print("up", flush=True)
while time.monotonic() < end: pass`,
  ]);
  await important.printed("up");
  assert.equal(trySyscall("kill", pid, SIGKILL), 0);
  // Whichever of the two it comes to first.
  await pauseContainer(box.root, id).catch((error) => {
    assert.match(error.message, new RegExp(`container not running: "${id}"`));
  });
  await important.ended;
  await until("its end", async () => (await box.state(id)).status === "stopped");
  await box.ok(["delete", id]);
}, { skip: navigator.hardwareConcurrency < 2 && "it needs two processors" });

test("a paused container can be stopped, killed and deleted", async (box) => {
  const stopped = await box.detached(LISTENER);
  await box.logged(stopped, "up");
  await box.ok(["pause", stopped]);
  await box.ok(["stop", stopped]);
  assert.equal((await box.state(stopped)).status, "stopped");
  await box.ok(["delete", stopped]);
  const killed = await box.detached(COUNTER);
  await box.ok(["pause", killed]);
  await box.ok(["kill", killed]);
  await until("its end", async () => (await box.state(killed)).status === "stopped");
  await box.ok(["delete", killed]);
  const deleted = await box.detached(COUNTER);
  await box.ok(["pause", deleted]);
  await box.ok(["delete", "-f", deleted]);
  const { code, stderr } = await box.crate(["pause", deleted]);
  assert.equal(code, 125);
  assert.match(stderr, /does not exist/);
});

test("top lists a container's processes as the host and as the container see them", async (box) => {
  const id = await box.detached("sleep 77 & sleep 78 & wait", ["-u", "12"]);
  const lines = await until("both", async () => {
    const all = (await box.ok(["top", id])).split("\n");
    // Each has become its program by then.
    return [77, 78].every((time) => all.some((line) => line.endsWith(` sleep ${time}`)))
      ? all
      : undefined;
  });
  assert.match(lines[0]!, /^PID +IN CONTAINER +PARENT +UID +TIME +COMMAND$/);
  assert.match(lines[1]!, new RegExp(`^${await box.running(id)} +1 +\\d+ +12 +00:00:0\\d +`));
  assert.ok(
    lines.some((line) => /^\d+ +\d+ +\d+ +12 +00:00:0\d +sleep 77$/.test(line)),
    lines.join("\n"),
  );
  await box.ok(["delete", "-f", id]);
  await box.ok(["run", "--name", "ended", "-r", box.rootfs, "true"]);
  assert.match(
    (await box.crate(["top", "ended"])).stderr,
    /^crate: container not running: "ended" is stopped\n$/,
  );
  await box.ok(["delete", "ended"]);
});
