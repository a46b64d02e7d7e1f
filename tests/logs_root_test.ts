// Not in the virtual machine: logs are the same on every kernel
import assert from "node:assert/strict";
import { assertEnded, delay, type Sandbox, test, until } from "./support/mod.ts";

// crate logs: what a detached container has written.

/** A container that has ended, and its log. */
async function ended(box: Sandbox, script: string): Promise<string> {
  const id = await box.detached(script);
  await until("its end", async () => (await box.state(id)).status === "stopped");
  return id;
}

test("logs prints what a container has written, each stream to its own", async (box) => {
  const id = await ended(box, "echo out; echo err >&2; printf 'no newline'");
  assertEnded(await box.crate(["logs", id]), { stdout: "out\nno newline", stderr: "err\n" });
  await box.ok(["delete", id]);
});

test("logs keeps every byte, whatever it is", async (box) => {
  const id = await ended(box, "head -c 3000000 /dev/urandom | tee /dev/stderr | md5sum");
  const { stdout } = await box.host('"$@" 2>&1 >/dev/null | md5sum', ["logs", id]);
  const log = await box.crate(["logs", id]);
  assert.equal(stdout, log.stdout);
  await box.ok(["delete", id]);
});

test("logs of a container that runs prints what is there, and ends", async (box) => {
  const id = await box.detached("echo one; sleep 100");
  assert.equal(await box.logged(id, "one"), "one\n");
  await box.ok(["delete", "--force", id]);
});

test("logs -f follows, and ends with the container", async (box) => {
  const script = "echo first; trap 'echo last; exit' TERM; while :; do sleep 0.02; done";
  const id = await box.detached(script);
  const following = box.start(["logs", "-f", id]);
  await following.printed("first\n");
  await box.ok(["kill", id, "TERM"]);
  assertEnded(await following.ended, { stdout: "first\nlast\n" });
  // Of a container that has ended, it prints all and ends.
  assertEnded(await box.crate(["logs", "-f", id]), { stdout: "first\nlast\n" });
  await box.ok(["delete", id]);
});

test("logs -f --tail prints the last lines and then follows", async (box) => {
  const script = "seq 10; trap 'echo last; exit' TERM; while :; do sleep 0.02; done";
  const id = await box.detached(script);
  await box.logged(id, "10\n");
  const following = box.start(["logs", "-f", "--tail", "2", id]);
  await following.printed("9\n10\n");
  await box.ok(["kill", id, "TERM"]);
  assertEnded(await following.ended, { stdout: "9\n10\nlast\n" });
  await box.ok(["delete", id]);
});

test("logs -f ends when its reader goes away", async (box) => {
  const id = await box.detached("while echo line; do sleep 0.01; done");
  const { stdout } = await box.host('"$@" | head -n 3', ["logs", "-f", id]);
  assert.equal(stdout, "line\nline\nline\n");
  await box.ok(["delete", "--force", id]);
});

test("--tail prints the last lines, an unfinished one included", async (box) => {
  const id = await ended(box, "seq 5; printf 6");
  const tail = async (count: string) => (await box.crate(["logs", "--tail", count, id])).stdout;
  assert.equal(await tail("2"), "5\n6");
  assert.equal(await tail("0"), "");
  assert.equal(await tail("100"), "1\n2\n3\n4\n5\n6");
  for (const all of ["all", "-1"]) assert.equal(await tail(all), "1\n2\n3\n4\n5\n6");
  for (const wrong of ["-2", "two", "1.5"]) {
    const { code, stderr } = await box.crate(["logs", `--tail=${wrong}`, id]);
    assert.equal(code, 125);
    assert.match(stderr, /^crate: --tail .*\n$/);
  }
  await box.ok(["delete", id]);
});

test("-t prints each line's time", async (box) => {
  const before = Date.now();
  const id = await ended(box, "echo one; sleep 0.05; printf 'two\\nthree\\n'");
  const { stdout } = await box.crate(["logs", "-t", id]);
  const lines = stdout.trimEnd().split("\n").map((line) => line.split(" "));
  assert.deepEqual(lines.map(([, text]) => text), ["one", "two", "three"]);
  const times = lines.map(([time]) => Date.parse(time!));
  assert.ok(times.every((time) => time >= before - 1 && time <= Date.now()), stdout);
  assert.ok(times[1]! - times[0]! >= 40, stdout);
  await box.ok(["delete", id]);
});

test("--since leaves out what was written before: a time or a span", async (box) => {
  const script = "echo early; trap 'echo late; exit' TERM; while :; do sleep 0.02; done";
  const id = await box.detached(script);
  await box.logged(id, "early");
  await delay(50);
  const between = new Date();
  await box.ok(["stop", id]);
  const since = async (time: string) => (await box.crate(["logs", "--since", time, id])).stdout;
  assert.equal(await since(between.toISOString()), "late\n");
  assert.equal(await since(String(between.getTime() / 1000)), "late\n");
  assert.equal(await since("10m"), "early\nlate\n");
  const { code, stderr } = await box.crate(["logs", "--since", "yesterday", id]);
  assert.equal(code, 125);
  assert.match(stderr, /^crate: --since yesterday: .*\n$/);
  await box.ok(["delete", id]);
});

test("a container that runs in the foreground has no log, and logs says so", async (box) => {
  await box.ok(["run", "--name", "front", "-r", box.rootfs, "echo", "seen"]);
  const { code, stderr } = await box.crate(["logs", "front"]);
  assert.equal(code, 125);
  assert.match(stderr, /^crate: .*"front".*\n$/);
  await box.ok(["delete", "front"]);
});

test("a full log disk does not stop the container, nor lose its exit code", async (box) => {
  // The log goes to a filesystem with room for little.
  const small = box.mkdir("small");
  const script = `
    mount -t tmpfs -o size=64k tmpfs ${small} || exit 99
    crate() { "$0" --root ${small}/state "$@"; }
    id=$(crate run -d -r ${box.rootfs} sh -c "head -c 1000000 /dev/zero; exit 5") || exit 98
    crate logs -f "$id" | wc -c
    crate list --format json
    crate delete "$id" >/dev/null`;
  const result = await box.host(`unshare --mount bash -c '${script}' "$@"`);
  assert.equal(result.stderr, "");
  const [count, list] = result.stdout.trim().split("\n");
  assert.ok(Number(count) < 70_000);
  const [{ status, exitCode }] = JSON.parse(list!);
  assert.deepEqual([status, exitCode], ["stopped", 5]);
});
