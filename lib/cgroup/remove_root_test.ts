import assert from "node:assert/strict";
import { exists, SIGTERM } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { cleanUp, start, testPlan, until, withGroup } from "./testing.ts";
import { cgroupProcesses, createCgroup, freeze, killAll, removeCgroup } from "./mod.ts";

// The end of groups: what is in them is killed, what is below them is removed.

const SIGKILL = 9;

Deno.test("groups are removed with everything that runs in them", async () => {
  await withGroup({}, async (plan) => {
    const child = start(plan, "trap '' TERM HUP INT; sleep 100 & while :; do sleep 100; done");
    await until("three processes", () => cgroupProcesses(plan).length === 3);
    const pids = cgroupProcesses(plan);
    await removeCgroup(plan.directories);
    for (const directory of plan.directories) assert(!exists(directory), directory);
    assert.equal((await child.output()).signal, "SIGKILL");
    for (const pid of pids) await until(`${pid} is gone`, () => !exists(`/proc/${pid}/cwd`));
  });
});

Deno.test("groups are removed when nothing is in them before the promise is awaited", async () => {
  const plan = testPlan();
  createCgroup(plan);
  const removed = removeCgroup(plan.directories);
  for (const directory of plan.directories) assert(!exists(directory), directory);
  await removed;
  await removeCgroup(plan.directories);
  await cleanUp(plan);
});

Deno.test("groups that a container has made below its own go with it", async () => {
  await withGroup({}, async (plan) => {
    for (const directory of plan.directories) {
      Deno.mkdirSync(`${directory}/a.b/c`, { recursive: true });
      Deno.mkdirSync(`${directory}/d`);
    }
    const child = start(plan, "exec sleep 100");
    await until("a process", () => cgroupProcesses(plan).length === 1);
    for (const directory of plan.directories) {
      if (directory === plan.v1.get("cpuset")) continue;
      Deno.writeTextFileSync(`${directory}/a.b/c/cgroup.procs`, String(child.pid));
    }
    await removeCgroup(plan.directories);
    for (const directory of plan.directories) assert(!exists(directory), directory);
    await child.output();
  });
});

Deno.test("a frozen container can be removed", async () => {
  await withGroup({}, async (plan) => {
    const child = start(plan, "sleep 100 & exec sleep 100");
    await until("two processes", () => cgroupProcesses(plan).length === 2);
    await freeze(plan);
    await removeCgroup(plan.directories);
    for (const directory of plan.directories) assert(!exists(directory), directory);
    await child.output();
  });
});

Deno.test("SIGKILL reaches processes that fork all the time", async () => {
  await withGroup({ pids: { limit: 64 } }, async (plan) => {
    const child = start(
      plan,
      "bomb() { while :; do (bomb) & sleep 0.01; done; }; bomb 2>/dev/null",
    );
    await until("many processes", () => cgroupProcesses(plan).length > 20);
    killAll(plan, SIGKILL);
    await until("none is left", () => cgroupProcesses(plan).length === 0);
    await child.output();
  });
});

Deno.test("another signal reaches every process, and is theirs to handle", async () => {
  await withGroup({}, async (plan) => {
    const child = start(plan, "trap 'exit 7' TERM; while :; do sleep 0.05; done");
    await until("it runs", () => cgroupProcesses(plan).length >= 1);
    // The shell sets its trap a moment after it has joined.
    await new Promise((resolve) => setTimeout(resolve, 500));
    killAll(plan, SIGTERM);
    assert.equal((await child.output()).code, 7);
  });
});

Deno.test("crate does not kill itself when its own group is to be removed", async () => {
  const plan = testPlan();
  createCgroup(plan);
  // In one hierarchy only, so that there is little to put right afterwards.
  const controller = plan.v1.has("freezer") ? "freezer" : "";
  const directory = plan.v1.get(controller) ?? plan.v2!;
  const line = Deno.readTextFileSync("/proc/self/cgroup").split("\n")
    .find((line) => line.split(":")[1] === controller);
  const own = directory.slice(0, -plan.path.length) + line!.slice(line!.lastIndexOf(":") + 1);
  Deno.writeTextFileSync(`${directory}/cgroup.procs`, String(Deno.pid));
  try {
    const refused = (error: unknown) =>
      error instanceof CrateError && error.message.includes("holds crate itself");
    await assert.rejects(removeCgroup(plan.directories), refused);
    assert.throws(() => killAll(plan, SIGKILL), refused);
    assert.throws(() => killAll(plan, SIGTERM), refused);
    assert(exists(directory));
  } finally {
    Deno.writeTextFileSync(`${own}/cgroup.procs`, String(Deno.pid));
    await cleanUp(plan);
  }
});
