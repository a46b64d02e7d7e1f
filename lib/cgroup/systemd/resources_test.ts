import assert from "node:assert/strict";
import type { LinuxResources } from "../../spec/mod.ts";
import type { CgroupLayout } from "../layout.ts";
import { planCgroup } from "../plan.ts";
import { deviceProperties, parseDeviceGroups } from "./devices.ts";
import { INFINITY } from "./property.ts";
import { resourceProperties } from "./resources.ts";

const controllers = ["cpu", "cpuset", "memory", "pids", "io"];
const V2: CgroupLayout = { v1: new Map(), v2: { mount: "/cg", controllers } };
const V1: CgroupLayout = {
  v1: new Map([...controllers, "blkio"].map((name) => [name, `/cg/${name}`])),
};

function of(layout: CgroupLayout, resources: LinuxResources, version = 252) {
  const { writes } = planCgroup(layout, "/system.slice/a.scope", resources, { devices: false });
  const found = resourceProperties(writes, version);
  return Object.fromEntries(found.map(({ name, value }) => [name, value]));
}

Deno.test("limits of cgroup v2 are the properties that systemd has for them", () => {
  assert.deepEqual(
    of(V2, {
      memory: { limit: 100 << 20, swap: 150 << 20, reservation: 1 << 20 },
      cpu: { shares: 1024, quota: 25000, period: 50000, cpus: "0-2,9", mems: "0" },
      pids: { limit: 20 },
    }),
    {
      MemoryMax: 104857600n,
      MemorySwapMax: 52428800n,
      MemoryLow: 1048576n,
      CPUWeight: 100n,
      CPUQuotaPeriodUSec: 50000n,
      CPUQuotaPerSecUSec: 500000n,
      TasksMax: 20n,
      AllowedCPUs: new Uint8Array([7, 2]),
      AllowedMemoryNodes: new Uint8Array([1]),
    },
  );
  assert.deepEqual(of(V2, {}), {});
  assert.deepEqual(of(V2, { memory: { limit: -1, swap: -1 }, pids: { limit: -1 } }), {
    MemoryMax: INFINITY,
    MemorySwapMax: INFINITY,
    TasksMax: INFINITY,
  });
});

Deno.test("limits of cgroup v1 have their older names", () => {
  assert.deepEqual(
    of(V1, {
      memory: { limit: 100 << 20, swap: 150 << 20, reservation: 1 << 20 },
      cpu: { shares: 512, quota: 25000, cpus: "1" },
      pids: { limit: 20 },
      blockIO: { weight: 300 },
    }),
    {
      MemoryLimit: 104857600n,
      CPUShares: 512n,
      CPUQuotaPerSecUSec: 250000n,
      AllowedCPUs: new Uint8Array([2]),
      TasksMax: 20n,
      BlockIOWeight: 300n,
    },
  );
});

Deno.test("a quota is counted in hundredths, rounded up, and none is told by a period alone", () => {
  const quota = (quota: number, period?: number) => of(V2, { cpu: { quota, period } });
  assert.equal(quota(12345).CPUQuotaPerSecUSec, 130000n);
  assert.equal(quota(12000).CPUQuotaPerSecUSec, 120000n);
  assert.equal(quota(-1).CPUQuotaPerSecUSec, INFINITY);
  assert.deepEqual(quota(0, 50000), {
    CPUQuotaPeriodUSec: 50000n,
    CPUQuotaPerSecUSec: INFINITY,
  });
  assert.deepEqual(of(V1, { cpu: { period: 50000 } }), {
    CPUQuotaPeriodUSec: 50000n,
    CPUQuotaPerSecUSec: INFINITY,
  });
});

Deno.test("unified files are properties where systemd has them, and stay files where not", () => {
  const unified = {
    "memory.high": "max",
    "memory.min": "4096",
    "cpu.max": "50000 100000",
    "cpu.weight": "7",
    "pids.max": "9",
    "cpuset.cpus": "0",
    "memory.oom.group": "1",
  };
  assert.deepEqual(of(V2, { unified }), {
    MemoryHigh: INFINITY,
    MemoryMin: 4096n,
    CPUWeight: 7n,
    CPUQuotaPeriodUSec: 100000n,
    CPUQuotaPerSecUSec: 500000n,
    TasksMax: 9n,
    AllowedCPUs: new Uint8Array([1]),
  });
});

Deno.test("an older systemd is not asked for what it does not know", () => {
  const resources = { cpu: { quota: 1000, period: 100000, cpus: "0", idle: 1 } };
  assert.deepEqual(Object.keys(of(V2, resources, 239)), ["CPUQuotaPerSecUSec"]);
  assert.deepEqual(of(V2, resources, 252).CPUWeight, 0n);
});

Deno.test("what the kernel will refuse is left for the kernel to refuse", () => {
  const unified = { "memory.max": "much", "cpuset.cpus": "2-1", "cpu.max": "a b" };
  assert.deepEqual(of(V2, { unified }), {});
  assert.deepEqual(of(V2, { cpu: { cpus: "0-99999" } }), {});
});

const groups = parseDeviceGroups(
  "Character devices:\n  1 mem\n  4 /dev/vc/0\n  4 tty\n136 pts\n\nBlock devices:\n259 blkext\n  8 sd\n",
);
const devices = (list: LinuxResources["devices"]) => deviceProperties(list, groups);
const NOTHING = { name: "DeviceAllow", signature: "a(ss)", value: [] };

Deno.test("a list of allowed devices is systemd's, by the names that it has for them", () => {
  const [policy, empty, allow] = devices([
    { allow: false, access: "rwm" },
    { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
    { allow: true, type: "b", major: 8, access: "r" },
    { allow: true, type: "c", major: 77 },
  ]);
  assert.deepEqual(policy, { name: "DevicePolicy", signature: "s", value: "strict" });
  assert.deepEqual(empty, NOTHING);
  const pairs = allow!.value as [string, string][];
  assert.deepEqual(Object.fromEntries(pairs), {
    "/dev/char/10:229": "rwm",
    "block-sd": "rm",
    "char-77": "rwm",
    "char-*": "m",
    "block-*": "m",
    "/dev/char/1:3": "rwm",
    "/dev/char/1:5": "rwm",
    "/dev/char/1:7": "rwm",
    "/dev/char/1:8": "rwm",
    "/dev/char/1:9": "rwm",
    "/dev/char/5:0": "rwm",
    "/dev/char/5:2": "rwm",
    "char-pts": "rwm",
  });
});

Deno.test("what systemd cannot say it is told to leave alone", () => {
  const auto = [{ name: "DevicePolicy", signature: "s", value: "auto" }, NOTHING];
  assert.deepEqual(devices([{ allow: true, access: "rwm" }]), auto);
  const all = { allow: true, access: "rwm" };
  assert.deepEqual(devices([all, { allow: false, type: "b", major: 8 }]), auto);
  assert.deepEqual(devices([{ allow: true, type: "c", minor: 3, access: "r" }]), auto);
  assert.deepEqual(
    devices([
      { allow: true, type: "c", major: 1, access: "rw" },
      { allow: false, type: "c", major: 1, minor: 2, access: "rw" },
    ]),
    auto,
  );
});
