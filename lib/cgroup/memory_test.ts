import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import type { LinuxResources } from "../spec/mod.ts";
import { memory } from "./memory.ts";

type Memory = NonNullable<LinuxResources["memory"]>;
const v1 = (value: Memory) => memory.settingsV1({ memory: value }).map((s) => [s.file, s.value]);
const v2 = (value: Memory) => memory.settingsV2({ memory: value }).map((s) => [s.file, s.value]);

Deno.test("v1 writes the memory limit before memory and swap, which may not be below it", () => {
  assert.deepEqual(v1({ swap: 1024, limit: 512, reservation: 256, swappiness: 0 }), [
    ["memory.limit_in_bytes", "512"],
    ["memory.memsw.limit_in_bytes", "1024"],
    ["memory.soft_limit_in_bytes", "256"],
    ["memory.swappiness", "0"],
  ]);
});

Deno.test("v2 limits swap alone: what is left of memory and swap", () => {
  for (
    const [given, written] of [
      [{ limit: 512, swap: 1024 }, [["memory.max", "512"], ["memory.swap.max", "512"]]],
      [{ limit: 512, swap: 512 }, [["memory.max", "512"], ["memory.swap.max", "0"]]],
      [{ limit: 512, swap: -1 }, [["memory.max", "512"], ["memory.swap.max", "max"]]],
      [{ limit: 512 }, [["memory.max", "512"]]],
      [{ limit: -1 }, [["memory.max", "max"], ["memory.swap.max", "max"]]],
      [{ limit: -1, swap: -1 }, [["memory.max", "max"], ["memory.swap.max", "max"]]],
      [{ reservation: 256 }, [["memory.low", "256"]]],
      [{ reservation: -1 }, [["memory.low", "0"]]],
      [{ limit: 0, swap: 0, reservation: 0, kernel: 0, kernelTCP: 0 }, []],
      [{ limit: 2 ** 63 }, [["memory.max", "9223372036854775808"]]],
    ] as [Memory, string[][]][]
  ) assert.deepEqual(v2(given), written, JSON.stringify(given));
});

Deno.test("an unlimited memory in v1 is -1, as its files have it", () => {
  assert.deepEqual(v1({ limit: -1, swap: -1 }), [
    ["memory.limit_in_bytes", "-1"],
    ["memory.memsw.limit_in_bytes", "-1"],
  ]);
});

Deno.test("swap without a memory limit, or below it, is refused in both versions", () => {
  for (const settings of [v1, v2]) {
    for (const value of [{ swap: 512 }, { limit: -1, swap: 512 }, { limit: 1024, swap: 512 }]) {
      assert.throws(
        () => settings(value),
        (error) =>
          error instanceof CrateError && error.code === "INVALID" &&
          error.message.startsWith("linux.resources.memory.swap "),
        JSON.stringify(value),
      );
    }
  }
});

Deno.test("what a version cannot enforce is refused by name, never dropped", () => {
  const cases: [(value: Memory) => unknown, Memory, string][] = [
    [v1, { kernel: 1024 }, "memory.kernel"],
    [v2, { kernel: 1024 }, "memory.kernel"],
    [v1, { useHierarchy: false }, "memory.useHierarchy"],
    [v2, { useHierarchy: false }, "memory.useHierarchy"],
    [v2, { kernelTCP: 1024 }, "memory.kernelTCP"],
    [v2, { swappiness: 10 }, "memory.swappiness"],
    [v2, { disableOOMKiller: true }, "memory.disableOOMKiller"],
  ];
  for (const [settings, value, field] of cases) {
    assert.throws(
      () => settings(value),
      (error) =>
        error instanceof CrateError && error.code === "UNSUPPORTED" &&
        error.message.startsWith(`linux.resources.${field}: `),
      field,
    );
  }
  assert.deepEqual(v1({ disableOOMKiller: true, kernelTCP: 9, useHierarchy: true }), [
    ["memory.kmem.tcp.limit_in_bytes", "9"],
    ["memory.oom_control", "1"],
  ]);
  assert.deepEqual(v2({ disableOOMKiller: false, useHierarchy: true }), []);
});

Deno.test("a limit that is no integer is refused", () => {
  for (const limit of [0.5, NaN, 1e30, Infinity]) {
    for (const settings of [v1, v2]) assert.throws(() => settings({ limit }), CrateError);
  }
});

Deno.test("memory in use reads the same from both versions", () => {
  const files: Record<string, string> = {
    "memory.usage_in_bytes": "4096\n",
    "memory.limit_in_bytes": "9223372036854771712\n",
    "memory.max_usage_in_bytes": "8192\n",
    "memory.stat": "cache 1\ntotal_cache 100\ntotal_swap 7\ntotal_inactive_file 50\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
  };
  const unified: Record<string, string> = {
    "memory.current": "4096\n",
    "memory.max": "max\n",
    "memory.peak": "8192\n",
    "memory.swap.current": "7\n",
    "memory.stat": "anon 1\nfile 100\ninactive_file 50\n",
    "memory.events": "low 0\nhigh 0\nmax 9\noom 3\noom_kill 3\n",
  };
  const expected = {
    usage: 4096,
    limit: undefined,
    max: 8192,
    swap: 7,
    cache: 100,
    inactiveFile: 50,
    oomKills: 3,
  };
  assert.deepEqual(memory.statsV1((file) => files[file]), expected);
  assert.deepEqual(memory.statsV2((file) => unified[file]), expected);
  assert.equal(memory.statsV2(() => undefined), undefined);
});
