import assert from "node:assert/strict";
import { assertEnded, EVERYWHERE_THE_SAME, type Sandbox, test, until } from "./support/mod.ts";

// crate start and restart: containers that have ended, once more.

test("a container that has ended is started again, with its config and its log", async (box) => {
  const script =
    "echo $GREETING $(cat /proc/1/comm); trap 'exit 4' TERM; while :; do sleep 0.02; done";
  const id = await box.detached(script, ["-e", "GREETING=hello", "-m", "64m", "--name", "one"]);
  await box.logged(id, "hello sh");
  await box.ok(["stop", id]);
  assert.equal(await box.ok(["start", id]), id);
  assert.equal((await box.state(id)).status, "running");
  await until(
    "its greeting",
    async () => (await box.crate(["logs", id])).stdout === "hello sh\nhello sh\n",
  );
  assert.equal(await box.ok(["exec", id, "echo", "in"]), "in");
  const first = await box.running(id);
  assert.equal(await box.ok(["restart", id]), id);
  assert.notEqual(await box.running(id), first);
  await box.ok(["stop", id]);
  assert.equal(JSON.parse(await box.ok(["list", "--format", "json"]))[0].exitCode, 4);
  assert.match(
    (await box.crate(["start", "none"])).stderr,
    /^crate: container "none" does not exist/,
  );
  await box.ok(["delete", id]);
});

test("one that was in the foreground goes on in the background, with a log", async (box) => {
  assert.equal(
    (await box.crate(["run", "--name", "one", "-r", box.rootfs, "sh", "-c", "echo up; exit 3"]))
      .code,
    3,
  );
  await box.ok(["start", "one"]);
  assert.equal(await box.ok(["wait", "one"]), "3");
  assert.equal((await box.crate(["logs", "one"])).stdout, "up\n");
  await box.ok(["delete", "one"]);
}, EVERYWHERE_THE_SAME);

test("a container that cannot be started again stays as it was", async (box) => {
  const volume = box.mkdir("volume");
  await box.crate([
    "run",
    "--name",
    "one",
    "-r",
    box.rootfs,
    "-v",
    `${volume}:/v`,
    "sh",
    "-c",
    "exit 5",
  ]);
  Deno.removeSync(volume);
  const { code, stderr } = await box.crate(["start", "one"]);
  assert.equal(code, 125);
  assert.match(stderr, /^crate: [^\n]*volume[^\n]*\n$/);
  const [listed] = JSON.parse(await box.ok(["list", "--format", "json"]));
  assert.deepEqual([listed.status, listed.exitCode], ["stopped", 5]);
  Deno.mkdirSync(volume);
  await box.ok(["start", "one"]);
  assert.equal(await box.ok(["wait", "one"]), "5");
  await box.ok(["delete", "one"]);
}, EVERYWHERE_THE_SAME);

test(
  "crate start, killed at whatever moment, leaves a container that can be started and deleted",
  async (box) => {
    await box.crate(["run", "--name", "one", "-r", box.rootfs, "sh", "-c", "sleep 0.05; exit 6"]);
    for (let i = 0; i < 8; i++) {
      const script = `"$@" & sleep ${(0.01 + 0.006 * i).toFixed(3)}; kill -9 $!; wait`;
      await box.host(script, ["start", "one"]);
      await until("its end", async () => (await box.state("one")).status === "stopped");
    }
    await box.ok(["start", "one"]);
    assert.equal(await box.ok(["wait", "one"]), "6");
    const both = await Promise.all([box.crate(["start", "one"]), box.crate(["start", "one"])]);
    assert.ok(both.some(({ code }) => code === 0), both.map(({ stderr }) => stderr).join());
    await box.ok(["wait", "one"]);
    await box.ok(["delete", "one"]);
  },
  EVERYWHERE_THE_SAME,
);

test("start of a container that runs already changes nothing, and is no error", async (box) => {
  const id = await box.detached("exec sleep 1000", ["--name", "one"]);
  const pid = await box.running(id);
  assert.equal(await box.ok(["start", id]), id);
  assert.equal(await box.running(id), pid);
  // One that is paused is not what was asked for, nor is one that was not asked to tell when it is ready.
  await box.ok(["pause", id]);
  const stderr = 'crate: container "one" is paused: only one that has ended can be started\n';
  assertEnded(await box.crate(["start", id]), { code: 125, stderr });
  await box.ok(["resume", id]);
  const managed = await box.crate(["start", id], { env: { NOTIFY_SOCKET: box.path("none") } });
  assertEnded(managed, { code: 125, stderr: stderr.replace("paused", "running") });
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

/** One container that ends only when it is killed, and one that ends when it is asked to. */
async function stubbornAndWilling(box: Sandbox): Promise<void> {
  const loop = "echo up; while :; do sleep 0.02; done";
  await box.detached(`trap '' TERM; ${loop}`, ["--name", "stubborn"]);
  await box.detached(`trap 'exit 0' TERM; ${loop}`, ["--name", "willing"]);
  for (const id of ["stubborn", "willing"]) await box.logged(id, "up\n");
}

test("stop asks all at the same time, and prints them in their order", async (box) => {
  await stubbornAndWilling(box);
  const words = ["stubborn", "none", "willing", "stubborn"];
  const stopping = box.start(["stop", "-t", "-1", ...words]);
  await until("the second's end", async () => (await box.state("willing")).status === "stopped");
  assert.equal((await box.state("stubborn")).status, "running");
  assert.deepEqual([stopping.stdout, stopping.stderr], ["", ""]);
  await box.ok(["kill", "stubborn"]);
  assertEnded(await stopping.ended, {
    code: 125,
    stdout: "stubborn\nwilling\nstubborn\n",
    stderr: 'crate: container "none" does not exist: crate list shows them\n',
  });
  await box.ok(["delete", "stubborn", "willing"]);
}, EVERYWHERE_THE_SAME);

test("what is stopped is all stopped, though nobody reads its names", async (box) => {
  await stubbornAndWilling(box);
  const pipe = box.path("pipe");
  const script = `mkfifo ${pipe}; : <${pipe} & exec 3>${pipe}; wait; rm ${pipe}; "$@" >&3`;
  const words = ["stop", "-t", "1", "willing", "stubborn"];
  assertEnded(await box.host(script, words), { code: 141 });
  assert.equal((await box.state("stubborn")).status, "stopped");
  await box.ok(["delete", "stubborn", "willing"]);
}, EVERYWHERE_THE_SAME);

test("restart has each start again as soon as it has ended", async (box) => {
  await stubbornAndWilling(box);
  const before = { stubborn: await box.running("stubborn"), willing: await box.running("willing") };
  const restarting = box.start(["restart", "-t", "-1", "stubborn", "willing", "willing"]);
  await until("the second's new start", async () => {
    const { status, pid } = await box.state("willing");
    return status === "running" && pid !== before.willing;
  });
  assert.equal(await box.running("stubborn"), before.stubborn);
  await box.ok(["kill", "stubborn"]);
  assertEnded(await restarting.ended, { stdout: "stubborn\nwilling\nwilling\n" });
  assert.notEqual(await box.running("stubborn"), before.stubborn);
  await box.ok(["delete", "--force", "stubborn", "willing"]);
}, EVERYWHERE_THE_SAME);
