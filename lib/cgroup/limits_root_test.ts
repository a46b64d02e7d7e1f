import assert from "node:assert/strict";
import { run, start, until, withGroup } from "./testing.ts";
import { freeze, isFrozen, isGroupGone, readStats, thaw } from "./mod.ts";

// The limits hold, and what is used is counted, on this host's version of cgroups.

const MIB = 1 << 20;

Deno.test("a process that takes more memory than the limit is killed, and counted", async () => {
  await withGroup({ memory: { limit: 32 * MIB, swap: 32 * MIB } }, async (plan) => {
    // dd fills a buffer of one block; the shell survives it.
    const { code } = await run(plan, "dd if=/dev/zero of=/dev/null bs=128M count=1; echo $? >&2");
    assert.equal(code, 0);
    const { memory } = readStats(plan);
    assert.equal(memory?.limit, 32 * MIB);
    assert.equal(memory?.oomKills, 1);
    assert((memory?.max ?? 0) > 16 * MIB && (memory?.max ?? 0) <= 32 * MIB, String(memory?.max));
    const small = await run(plan, "dd if=/dev/zero of=/dev/null bs=8M count=1 2>/dev/null");
    assert.equal(small.code, 0, "less than the limit may be had");
  });
});

Deno.test("a group with a limit of five processes has no sixth", async () => {
  await withGroup({ pids: { limit: 5 } }, async (plan) => {
    assert.equal((await run(plan, "sleep 0 & sleep 0 & wait")).code, 0);
    const { code, stderr } = await run(
      plan,
      "for i in 1 2 3 4 5 6; do sleep 100 >/dev/null 2>&1 & done",
    );
    assert.notEqual(code, 0);
    assert.match(stderr, /fork/i);
    assert.equal(readStats(plan).pids?.limit, 5);
  });
});

Deno.test("a group with a tenth of a processor waits for most of the time", async () => {
  await withGroup({ cpu: { quota: 10_000, period: 100_000, shares: 512 } }, async (plan) => {
    await using child = start(plan, "while :; do :; done");
    await until("ten periods", () => (readStats(plan).cpu?.periods ?? 0) >= 10);
    const { cpu } = readStats(plan);
    child.kill("SIGKILL");
    assert(cpu !== undefined);
    assert(cpu.throttledPeriods >= 5, String(cpu.throttledPeriods));
    assert(cpu.throttledTime > 0);
    // Nanoseconds: 10 ms a period, and what a processor's slice is too long.
    assert(cpu.usage > 10e6 && cpu.usage < cpu.periods * 30e6, `${cpu.usage} in ${cpu.periods}`);
    assert(cpu.user + cpu.system > 0);
  });
});

Deno.test("a group with one processor has that one", async () => {
  await withGroup({ cpu: { cpus: "1", mems: "0" } }, async (plan) => {
    const { stdout } = await run(plan, "grep allowed_list /proc/self/status");
    assert.match(stdout, /^Cpus_allowed_list:\s+1\nMems_allowed_list:\s+0$/);
  });
});

Deno.test("a frozen container does not run, and goes on when thawed", async () => {
  await withGroup({}, async (plan) => {
    await using child = start(plan, "while :; do :; done");
    const used = () => readStats(plan).cpu?.usage ?? 0;
    await until("it runs", () => used() > 0);
    assert.equal(isFrozen(plan), false);
    await freeze(plan);
    assert.equal(isFrozen(plan), true);
    const frozenAt = used();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(used(), frozenAt);
    await thaw(plan);
    assert.equal(isFrozen(plan), false);
    await until("it goes on", () => used() > frozenAt);
    child.kill("SIGKILL");
  });
});

Deno.test("a group that is gone cannot be frozen, and has nothing that would be thawed", async () => {
  let location;
  await withGroup({}, (plan) => {
    location = plan;
  });
  await assert.rejects(freeze(location!), isGroupGone);
  await thaw(location!);
});

Deno.test("what a container uses is counted, and nothing of one that is gone", async () => {
  let location;
  await withGroup({ pids: { limit: 50 } }, async (plan) => {
    location = plan;
    await using child = start(plan, "exec tail -f /dev/null");
    await until("it runs", () => readStats(plan).pids?.current === 1);
    await until("it has memory", () => (readStats(plan).memory?.usage ?? 0) > 0);
    await until("it has run", () => (readStats(plan).cpu?.usage ?? 0) > 0);
    const stats = readStats(plan);
    assert.equal(stats.memory?.limit, undefined);
    assert.equal(stats.pids?.limit, 50);
    assert(Array.isArray(stats.io));
    child.kill("SIGKILL");
  });
  assert(location !== undefined);
  for (const [name, value] of Object.entries(readStats(location))) {
    assert.equal(value, undefined, name);
  }
});
