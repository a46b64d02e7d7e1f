import assert from "node:assert/strict";
import { assertEnded, delay, EVERYWHERE_THE_SAME, test, until } from "./support/mod.ts";

// What is done with a container: list, state, kill, stop, delete; and its name meanwhile.

const LISTENER = "trap 'echo got TERM; exit 3' TERM; trap 'echo got USR1' USR1; echo up; " +
  "while :; do sleep 0.02; done";

test("stop sends SIGTERM, and the container's answer is its exit code", async (box) => {
  const id = await box.detached(LISTENER);
  await box.logged(id, "up");
  assert.equal(await box.ok(["stop", id]), id);
  assert.equal(JSON.parse(await box.ok(["list", "--format", "json"]))[0].exitCode, 3);
  assert.equal((await box.crate(["logs", id])).stdout, "up\ngot TERM\n");
  await box.ok(["delete", id]);
});

test("stop kills what does not end in time: -t, or --stop-timeout", async (box) => {
  const deaf = "trap '' TERM; echo up; while :; do sleep 0.02; done";
  for (const [options, flags] of [[[], ["-t", "1"]], [["--stop-timeout", "1"], []]]) {
    const id = await box.detached(deaf, options);
    await box.logged(id, "up");
    const start = performance.now();
    await box.ok(["stop", ...flags!, id]);
    const took = performance.now() - start;
    assert.ok(took > 900 && took < 8_000, `stop took ${took} ms`);
    assert.equal(JSON.parse(await box.ok(["list", "--format", "json"]))[0].exitCode, 137);
    await box.ok(["delete", id]);
  }
}, EVERYWHERE_THE_SAME);

test("--stop-signal is what stop sends; stop --signal goes before it", async (box) => {
  const script = 'for s in HUP INT TERM; do trap "echo got $s; exit" $s; done; echo up; ' +
    "while :; do sleep 0.02; done";
  const first = await box.detached(script, ["--stop-signal", "SIGHUP"]);
  const second = await box.detached(script, ["--stop-signal", "HUP"]);
  for (const id of [first, second]) await box.logged(id, "up");
  await box.ok(["stop", first]);
  await box.ok(["stop", "-s", "INT", second]);
  assert.equal((await box.crate(["logs", first])).stdout, "up\ngot HUP\n");
  assert.equal((await box.crate(["logs", second])).stdout, "up\ngot INT\n");
  assert.equal(await box.ok(["delete", first, second]), `${first}\n${second}`);
}, EVERYWHERE_THE_SAME);

test("stop of a container that has ended is fine", async (box) => {
  const id = await box.detached("exit 0");
  await until("its end", async () => (await box.state(id)).status === "stopped");
  assert.equal(await box.ok(["stop", id]), id);
  await box.ok(["delete", id]);
});

test("stop goes on after a container that does not exist", async (box) => {
  const id = await box.detached(LISTENER);
  await box.logged(id, "up");
  const { code, stdout, stderr } = await box.crate(["stop", "no-such", id]);
  assert.deepEqual([code, stdout], [125, `${id}\n`]);
  assert.match(stderr, /^crate: container "no-such" does not exist: .*\n$/);
  await box.ok(["delete", id]);
}, EVERYWHERE_THE_SAME);

test("kill sends SIGKILL, or the signal that is named, in any spelling", async (box) => {
  const id = await box.detached(LISTENER);
  await box.logged(id, "up");
  for (const words of [["USR1"], ["SIGUSR1"], ["10"], ["usr1"]]) {
    await box.ok(["kill", id, ...words]);
    await delay(60); // two of a kind at once are one to the kernel
  }
  await box.ok(["kill", "--signal", "USR1", id]);
  await until(
    "five signals",
    async () => (await box.crate(["logs", id])).stdout === `up\n${"got USR1\n".repeat(5)}`,
  );
  await box.ok(["kill", id]);
  await until("its end", async () => (await box.state(id)).status === "stopped");
  assert.equal(JSON.parse(await box.ok(["list", "--format", "json"]))[0].exitCode, 137);
  await box.ok(["delete", id]);
}, EVERYWHERE_THE_SAME);

test(
  "kill of a signal that there is not, or of a container that has ended, is an error",
  async (box) => {
    const id = await box.detached("exit 0");
    await until("its end", async () => (await box.state(id)).status === "stopped");
    for (
      const [words, sentence] of [
        [["kill", id, "NOPE"], /^crate: "NOPE" is not a signal: .*\n$/],
        [["kill", id, "65"], /^crate: "65" is not a signal: .*\n$/],
        [["kill", id], new RegExp(`^crate: container not running: "${id}" is stopped\n$`)],
        [["kill", "no-such"], /^crate: container "no-such" does not exist: .*\n$/],
      ] as const
    ) {
      const { code, stdout, stderr } = await box.crate(words);
      assert.deepEqual([code, stdout], [125, ""]);
      assert.match(stderr, sentence);
    }
    await box.ok(["delete", id]);
  },
  EVERYWHERE_THE_SAME,
);

test("delete refuses a container that runs, and delete --force kills it", async (box) => {
  const id = await box.detached("sleep 100");
  const { code, stderr } = await box.crate(["delete", id]);
  assert.equal(code, 125);
  assert.match(stderr, new RegExp(`^crate: container "${id}" is running: .*--force\n$`));
  assert.equal((await box.state(id)).status, "running");
  assert.equal(await box.ok(["delete", "--force", id]), id);
  assert.equal((await box.crate(["state", id])).code, 125);
});

test("delete goes on after a container that does not exist", async (box) => {
  const id = await box.detached("exit 0");
  await until("its end", async () => (await box.state(id)).status === "stopped");
  const { code, stdout, stderr } = await box.crate(["delete", "no-such", id]);
  assert.deepEqual([code, stdout], [125, `${id}\n`]);
  assert.match(stderr, /^crate: container "no-such" does not exist: .*\n$/);
}, EVERYWHERE_THE_SAME);

test("a container in the foreground is listed, and ends by stop like any other", async (box) => {
  const words = ["run", "--name", "front", "-r", box.rootfs, "sh", "-c", LISTENER];
  const running = box.start(words);
  await running.printed("up");
  await running.forwarding();
  assert.equal(await box.ok(["list", "-q"]), "front");
  await box.ok(["stop", "front"]);
  assertEnded(await running.ended, { code: 3, stdout: "up\ngot TERM\n" });
  await box.ok(["delete", "front"]);
});

test("list prints a table, ids, or JSON", async (box) => {
  assert.equal(await box.ok(["list", "-q"]), "");
  assert.equal(await box.ok(["list", "--format", "json"]), "[]");
  assert.match(await box.ok(["list"]), /^ID +STATUS +PID +CREATED +COMMAND$/);

  await box.detached("sleep 100", ["--name", "one", "--label", "tier=front"]);
  await box.detached("exit 4", ["--name", "two"]);
  await until("its end", async () => (await box.state("two")).status === "stopped");
  assert.equal(await box.ok(["list", "-q"]), "one\ntwo");
  const [head, one, two] = (await box.ok(["list"])).split("\n");
  assert.match(head!, /^ID +STATUS/);
  assert.match(one!, /^one +running +\d+ +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +\/bin\/sh -c sleep 100$/);
  assert.match(two!, /^two +stopped \(4\) +- /);
  const [first, second] = JSON.parse(await box.ok(["ls", "--format", "json"]));
  assert.deepEqual([first.id, first.status], ["one", "running"]);
  assert.equal(first.pid, await box.running("one"));
  assert.deepEqual(first.annotations, { tier: "front" });
  assert.ok(Math.abs(Date.parse(first.created) - Date.now()) < 60_000);
  assert.deepEqual([second.id, second.status, second.exitCode], ["two", "stopped", 4]);
  assert.equal("pid" in second, false);
  await box.ok(["delete", "--force", "one", "two"]);
}, EVERYWHERE_THE_SAME);

test("state prints what the runtime-spec says, and the two things that runc adds", async (box) => {
  const id = await box.detached("sleep 100", ["--annotation", "org.example.key=value"]);
  const pid = await box.running(id);
  const state = {
    ociVersion: "1.2.0",
    id,
    status: "running",
    pid,
    bundle: Deno.cwd(),
    annotations: { "org.example.key": "value" },
    rootfs: `${box.directory}/rootfs`,
    created: (await box.state(id)).created,
  };
  assert.deepEqual(await box.state(id), state);
  assert(Math.abs(Date.parse(String(state.created)) - Date.now()) < 60_000);
  assert.equal(Deno.readTextFileSync(`/proc/${pid}/comm`), "sleep\n");
  await box.ok(["kill", id]);
  const { pid: _, ...rest } = state;
  await until("its end", async () => (await box.state(id)).status === "stopped");
  assert.deepEqual(await box.state(id), { ...rest, status: "stopped" });
  await box.ok(["delete", id]);
}, EVERYWHERE_THE_SAME);

test(
  "a container is meant by its id or by the beginning of it, when that is one's only",
  async (box) => {
    for (const name of ["apple", "apricot", "ap"]) await box.detached("exit 0", ["--name", name]);
    assert.equal((await box.state("app")).id, "apple");
    assert.equal((await box.state("ap")).id, "ap", "a whole name is no beginning");
    const { code, stderr } = await box.crate(["state", "a"]);
    assert.equal(code, 125);
    assert.match(stderr, /^crate: "a" begins 3 ids: .*\n$/);
    for (const word of ["", "..", ".mount", "/", "../state/apple", "apple/"]) {
      const { code, stderr } = await box.crate(["delete", word]);
      assert.equal(code, 125, word);
      assert.match(stderr, /^crate: container ".*" does not exist: .*\n$/);
    }
    await until("they end", async () => !(await box.ok(["list"])).includes("running"));
    await box.ok(["delete", "apple", "apricot", "ap"]);
  },
  EVERYWHERE_THE_SAME,
);

test("a name in use is refused, whether its container runs or not", async (box) => {
  await box.detached("sleep 100", ["--name", "mine"]);
  const again = ["run", "--rm", "--name", "mine", "-r", box.rootfs, "true"];
  const first = await box.crate(again);
  assert.equal(first.code, 125);
  assert.match(first.stderr, /^crate: the name "mine" is in use by a running container: .*\n$/);
  assert.equal((await box.state("mine")).status, "running", "the container that has it goes on");
  await box.ok(["stop", "-t", "0", "mine"]);
  const second = await box.crate(again);
  assert.equal(second.code, 125);
  assert.match(second.stderr, /^crate: the name "mine" is in use by a stopped container: .*\n$/);
  await box.ok(["delete", "mine"]);
  assert.equal((await box.crate(again)).code, 0);
}, EVERYWHERE_THE_SAME);

test("of many that want one name at once, one gets it", async (box) => {
  const runs = Array.from(
    { length: 6 },
    () => box.crate(["run", "-d", "--name", "one", "-r", box.rootfs, "sleep", "100"]),
  );
  const codes = (await Promise.all(runs)).map(({ code }) => code).sort();
  assert.deepEqual(codes, [0, 125, 125, 125, 125, 125]);
  await box.ok(["delete", "--force", "one"]);
}, EVERYWHERE_THE_SAME);

test("with --rm a name is free at once: many times the same", async (box) => {
  const words = ["run", "--rm", "--name", "again", "-r", box.rootfs, "true"];
  const script = `for i in {1..20}; do "$@" || exit; done`;
  assertEnded(await box.host(script, words), {});
}, EVERYWHERE_THE_SAME);
