import assert from "node:assert/strict";
import { ContainerdEngine, IMAGE, same } from "./support/engines.ts";
import { isTurn, test } from "./support/mod.ts";

// containerd's shim calls crate where it calls runc, and sees no difference.

test("ctr run with crate does what it does with runc", async (box) => {
  await using containerd = await ContainerdEngine.start(box);
  const both = { crate: containerd.runner("crate"), runc: containerd.runner("runc") };
  // ctr may miss what a process says whose end it sees first.
  const run = (options: string[], script: string) =>
    same(
      both,
      "--rm",
      ...options,
      IMAGE,
      "one",
      "/bin/sh",
      "-c",
      `(${script}); code=$?; sleep 0.3; exit $code`,
    );
  assert.equal(await run([], "echo hi"), "hi\n");
  await run([], "echo out; echo err >&2; exit 6");
  await run(
    ["--memory-limit", "67108864"],
    "cat /sys/fs/cgroup/memory*/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true",
  );
  // What groups have no part in is done in turn where everything takes ten times as long.
  if (!isTurn(7)) return;
  await run(["--env", "A=b", "--cwd", "/tmp", "--user", "5:6"], "echo $A; pwd; id -u");
  await run(["--read-only"], "echo x > /file");
  await run(["--seccomp"], "grep Seccomp: /proc/self/status");
  for (const program of ["nope", "/etc/passwd"]) await same(both, "--rm", IMAGE, "one", program);
});

test("containerd's tasks, exec, metrics and pause do with crate what they do with runc", async (box) => {
  await using containerd = await ContainerdEngine.start(box);
  const seen: string[][] = [];
  for (const runtime of ["crate", "runc"] as const) {
    const said: string[] = [];
    const tell = (words: readonly string[], code: number, stdout: string) =>
      said.push(
        `${words.join(" ")}: ${code} ${
          stdout.replace(/^(web\s+)\d+/m, "$1PID").replace(/ +/g, " ").trim()
        }`,
      );
    const say = async (...words: string[]) => {
      const { code, stdout } = await containerd.ctr(words);
      tell(words, code, stdout);
      return stdout;
    };
    const started = ["-d", IMAGE, "web", "/bin/sleep", "100"];
    const { code, stdout } = await containerd.runner(runtime)(started);
    tell(started, code, stdout);
    await say("task", "ls");
    await say("task", "exec", "--exec-id", "a", "web", "/bin/sh", "-c", "echo inside; sleep 0.3");
    await say("task", "exec", "--exec-id", "b", "web", "/bin/sh", "-c", "exit 4");
    await say("task", "exec", "--exec-id", "c", "web", "nope");
    // From the third time on the launcher walks it.
    for (const id of ["e", "f", "g", "h"]) {
      await say("task", "exec", "--exec-id", id, "web", "/bin/sh", "-c", "echo again; exit 6");
    }
    await say(
      "task",
      "exec",
      "--exec-id",
      "d",
      "--user",
      "5",
      "--cwd",
      "/tmp",
      "web",
      "/bin/sh",
      "-c",
      "id -u; pwd",
    );
    const ps = (await containerd.ctr(["task", "ps", "web"])).stdout.trim().split("\n");
    assert.equal(ps.length, 2, "the word PID, and the one process");
    const metrics = (await containerd.ctr(["task", "metrics", "--format", "json", "web"])).stdout;
    assert.match(metrics, /"current":\s*1\b|"pids"/);
    await say("task", "pause", "web");
    await say("task", "ls");
    await say("task", "resume", "web");
    await say("task", "ls");
    await say("task", "kill", "-s", "SIGKILL", "web");
    for (let tries = 0; tries < 200; tries++) {
      if ((await containerd.ctr(["task", "ls"])).stdout.includes("STOPPED")) break;
    }
    await say("task", "ls");
    await say("task", "rm", "web");
    await say("container", "rm", "web");
    await say("task", "ls");
    seen.push(said);
  }
  assert.deepEqual(seen[0], seen[1]);
});
