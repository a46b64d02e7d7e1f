import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import type { LinuxResources } from "../spec/mod.ts";
import { cpu, sharesToWeight } from "./cpu.ts";
import { cpuset } from "./cpuset.ts";

type Cpu = NonNullable<LinuxResources["cpu"]>;
const v1 = (value: Cpu) => cpu.settingsV1({ cpu: value }).map((s) => [s.file, s.value]);
const v2 = (value: Cpu) => cpu.settingsV2({ cpu: value }).map((s) => [s.file, s.value]);

Deno.test("shares become weights: ends and defaults meet, and runc's and crun's values between", () => {
  // 2000 -> 170: opencontainers/runc issue 4896.
  const pairs = [[0, 1], [2, 1], [1024, 100], [2000, 170], [262144, 10000], [1 << 20, 10000]];
  for (const [shares = 0, weight] of pairs) assert.equal(sharesToWeight(shares), String(weight));
});

Deno.test("more shares are never less weight, and a weight is one the kernel takes", () => {
  const shares = fc.integer({ min: 2, max: 262144 });
  fc.assert(fc.property(shares, shares, (a, b) => {
    const [low, high] = [sharesToWeight(Math.min(a, b)), sharesToWeight(Math.max(a, b))].map(
      Number,
    );
    return 1 <= low! && low! <= high! && high! <= 10000;
  }));
});

Deno.test("v1 writes the period before the quota that it must hold, and the burst last", () => {
  assert.deepEqual(v1({ burst: 1, quota: 50000, period: 100000, shares: 512, idle: 0 }), [
    ["cpu.shares", "512"],
    ["cpu.idle", "0"],
    ["cpu.cfs_period_us", "100000"],
    ["cpu.cfs_quota_us", "50000"],
    ["cpu.cfs_burst_us", "1"],
  ]);
  assert.deepEqual(v1({ realtimeRuntime: 1, realtimePeriod: 2 }), [
    ["cpu.rt_period_us", "2"],
    ["cpu.rt_runtime_us", "1"],
  ]);
});

Deno.test("v2 has quota and period in one file", () => {
  for (
    const [given, written] of [
      [{ quota: 50000, period: 100000 }, [["cpu.max", "50000 100000"]]],
      [{ quota: 50000 }, [["cpu.max", "50000"]]],
      [{ quota: -1, period: 50000 }, [["cpu.max", "max 50000"]]],
      [{ quota: -1 }, [["cpu.max", "max"]]],
      [{ period: 50000 }, [["cpu.max", "max 50000"]]],
      [{ shares: 1024, idle: 1 }, [["cpu.weight", "100"], ["cpu.idle", "1"]]],
      [{ burst: 0 }, [["cpu.max.burst", "0"]]],
      [{ shares: 0, quota: 0, period: 0, realtimePeriod: 0 }, []],
    ] as [Cpu, string[][]][]
  ) assert.deepEqual(v2(given), written, JSON.stringify(given));
});

Deno.test("v2 refuses real-time groups by name", () => {
  for (const field of ["realtimePeriod", "realtimeRuntime"] as const) {
    assert.throws(
      () => v2({ [field]: 1000 }),
      (error) =>
        error instanceof CrateError && error.code === "UNSUPPORTED" &&
        error.message.startsWith(`linux.resources.cpu.${field}: `),
    );
  }
});

Deno.test("processors and memory nodes have the same files in both versions", () => {
  const resources: LinuxResources = { cpu: { cpus: "0-1", mems: "0" } };
  const expected = [
    { file: "cpuset.cpus", value: "0-1", field: "cpu.cpus" },
    { file: "cpuset.mems", value: "0", field: "cpu.mems" },
  ];
  assert.deepEqual(cpuset.settingsV1(resources), expected);
  assert.deepEqual(cpuset.settingsV2(resources), expected);
  assert.deepEqual(cpuset.settingsV1({ cpu: { shares: 2 } }), []);
});

Deno.test("processor time is nanoseconds from both versions", () => {
  const files: Record<string, string> = {
    "cpuacct.usage": "3000\n",
    "cpuacct.usage_user": "2000\n",
    "cpuacct.usage_sys": "1000\n",
    "cpu.stat": "nr_periods 5\nnr_throttled 4\nthrottled_time 6000\n",
  };
  const unified = "usage_usec 3\nuser_usec 2\nsystem_usec 1\nnr_periods 5\nnr_throttled 4\n" +
    "throttled_usec 6\n";
  const expected = {
    usage: 3000,
    user: 2000,
    system: 1000,
    periods: 5,
    throttledPeriods: 4,
    throttledTime: 6000,
  };
  assert.deepEqual(cpu.statsV1((file) => files[file]), expected);
  assert.deepEqual(cpu.statsV2((file) => file === "cpu.stat" ? unified : undefined), expected);
});
