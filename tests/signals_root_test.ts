// Not in the virtual machine: signals are the same on every kernel
import assert from "node:assert/strict";
import { assertEnded, test, until } from "./support/mod.ts";

// Signals that crate gets while its container runs, and a first process that passes them on and reaps.

/** Tells what it got, waits for the next, and ends with TERM. */
const LISTENER = `
for s in HUP INT QUIT USR1 USR2 ALRM WINCH; do trap "echo got $s" $s; done
trap 'echo got TERM; exit 9' TERM
echo ready
while :; do sleep 0.02; done`;

const SIGNALS = ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "WINCH", "TERM"] as const;

test("signals to crate arrive at the container's first process", async (box) => {
  const running = box.start(["run", "--rm", "-r", box.rootfs, "sh", "-c", LISTENER]);
  await running.printed("ready");
  await running.forwarding();
  for (const signal of SIGNALS) {
    running.signal(`SIG${signal}`);
    await running.printed(`got ${signal}\n`);
  }
  const stdout = ["ready", ...SIGNALS.map((signal) => `got ${signal}`), ""].join("\n");
  assertEnded(await running.ended, { code: 9, stdout });
});

test("a signal that comes right after the start arrives", async (box) => {
  for (let i = 0; i < 5; i++) {
    const running = box.start(["run", "--rm", "-r", box.rootfs, "sh", "-c", LISTENER]);
    await running.printed("ready");
    running.signal("SIGTERM");
    assertEnded(await running.ended, { code: 9, stdout: "ready\ngot TERM\n" });
  }
});

test("a signal that the first process does not handle does not end it, and crate waits", async (box) => {
  // The kernel drops a signal for the first process of a pid namespace that has no handler for it, if
  // it comes from inside; from outside too, but for KILL and STOP. pid_namespaces(7)
  const running = box.start([
    "run",
    "--rm",
    "-r",
    box.rootfs,
    "sh",
    "-c",
    "echo up; read line; exit 4",
  ], {
    input: { open: true },
  });
  await running.printed("up");
  await running.forwarding();
  running.signal("SIGTERM");
  running.signal("SIGHUP");
  await running.write("go on\n");
  assert.equal((await running.ended).code, 4);
});

test("a stopped crate goes on where it was", async (box) => {
  const running = box.start(["run", "--rm", "-r", box.rootfs, "cat"], { input: { open: true } });
  await running.write("one\n");
  await running.printed("one");
  running.signal("SIGSTOP");
  running.signal("SIGCONT");
  await running.write("two\n");
  await running.closeInput();
  assertEnded(await running.ended, { stdout: "one\ntwo\n" });
});

test("with --init a signal without a handler ends the container", async (box) => {
  const words = ["run", "--rm", "--init", "-r", box.rootfs, "sh", "-c", "echo up; exec sleep 100"];
  const running = box.start(words);
  await running.printed("up");
  await running.forwarding();
  running.signal("SIGTERM");
  assert.equal((await running.ended).code, 143);
});

test("--init passes signals on, and its exit code is the command's", async (box) => {
  const running = box.start(["run", "--rm", "--init", "-r", box.rootfs, "sh", "-c", LISTENER]);
  await running.printed("ready");
  await running.forwarding();
  for (const signal of ["HUP", "INT", "USR1", "TERM"] as const) {
    running.signal(`SIG${signal}`);
    await running.printed(`got ${signal}\n`);
  }
  assert.equal((await running.ended).code, 9);
});

test("--init is process 1 and the command another; without it the command is process 1", async (box) => {
  assert.equal(await box.sh("echo $$"), "1");
  const [own, first] = (await box.sh("echo $$; cat /proc/1/comm", ["--init"])).split("\n");
  assert.notEqual(own, "1");
  assert.notEqual(first, "sh");
});

test("--init reaps what is left to it; without it zombies stay", async (box) => {
  const script = `
for i in 1 2 3 4 5; do sh -c 'sleep 0.05 & ' ; done
sleep 0.4
grep -l "State:.Z" /proc/[0-9]*/status 2>/dev/null | wc -l`;
  assert.equal(await box.sh(script, ["--init"]), "0");
  // A shell reaps what it gets; this first process does not.
  const idle = "(sh -c 'sleep 0.05 &'; echo started; exec sleep 100) & exec sleep 100";
  const id = await box.detached(idle);
  const zombies = await until("a zombie", async () => {
    const script = 'grep -l "State:.Z" /proc/[0-9]*/status 2>/dev/null | wc -l';
    return Number(await box.ok(["exec", id, "sh", "-c", script]));
  });
  assert.equal(zombies, 1);
  await box.ok(["delete", "--force", id]);
});

test("crate blocks and ignores no signal for the container", async (box) => {
  for (const options of [[], ["--init"]]) {
    // Not through a shell, which has some signals' dispositions to itself.
    const words = ["run", "--rm", "-r", box.rootfs, ...options, "cat", "/proc/self/status"];
    const status = await box.ok(words);
    assert.match(status, /^SigBlk:\s+0{16}$/m);
    assert.match(status, /^SigIgn:\s+0{16}$/m);
  }
});
