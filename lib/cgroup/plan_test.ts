import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import type { LinuxResources } from "../spec/mod.ts";
import type { CgroupLayout } from "./layout.ts";
import { planCgroup } from "./plan.ts";

const V2: CgroupLayout = {
  v1: new Map(),
  v2: { mount: "/cg", controllers: ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"] },
};
const V1_NAMES = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"];
const V1: CgroupLayout = { v1: new Map(V1_NAMES.map((name) => [name, `/cg/${name}`])) };
const HYBRID: CgroupLayout = {
  v1: new Map([...V1.v1, ["name=systemd", "/cg/systemd"]]),
  v2: { mount: "/cg/unified", controllers: ["hugetlb"] },
};
/** All devices, so that a plan has nothing to write for them. */
const ANY_DEVICE: LinuxResources = { devices: [{ allow: true, access: "rwm" }] };

const writes = (layout: CgroupLayout, resources: LinuxResources) =>
  planCgroup(layout, "/crate/web", { ...ANY_DEVICE, ...resources })
    .writes.map(({ file, value }) => `${file} ${value}`);

function refused(layout: CgroupLayout, resources: LinuxResources, ...words: string[]): void {
  assert.throws(() => writes(layout, resources), (error) => {
    assert(error instanceof CrateError);
    assert.equal(error.code, "UNSUPPORTED");
    for (const word of words) assert(error.message.includes(word), `${word}: ${error.message}`);
    return true;
  });
}

Deno.test("one config becomes each version's own files", () => {
  const resources: LinuxResources = {
    memory: { limit: 512, swap: 1024 },
    cpu: { shares: 1024, quota: 50000, period: 100000, cpus: "0" },
    pids: { limit: 10 },
    blockIO: { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 9 }] },
  };
  assert.deepEqual(writes(V2, resources), [
    "/cg/crate/web/memory.max 512",
    "/cg/crate/web/memory.swap.max 512",
    "/cg/crate/web/cpu.weight 100",
    "/cg/crate/web/cpu.max 50000 100000",
    "/cg/crate/web/cpuset.cpus 0",
    "/cg/crate/web/pids.max 10",
    "/cg/crate/web/io.max 8:0 rbps=9",
  ]);
  const v1 = [
    "/cg/memory/crate/web/memory.limit_in_bytes 512",
    "/cg/memory/crate/web/memory.memsw.limit_in_bytes 1024",
    "/cg/cpu/crate/web/cpu.shares 1024",
    "/cg/cpu/crate/web/cpu.cfs_period_us 100000",
    "/cg/cpu/crate/web/cpu.cfs_quota_us 50000",
    "/cg/cpuset/crate/web/cpuset.cpus 0",
    "/cg/pids/crate/web/pids.max 10",
    "/cg/blkio/crate/web/blkio.throttle.read_bps_device 8:0 9",
  ];
  assert.deepEqual(writes(V1, resources), v1);
  assert.deepEqual(writes(HYBRID, resources), v1);
});

Deno.test("a controller that only the v2 hierarchy of a hybrid host has is used there", () => {
  const plan = planCgroup(HYBRID, "/crate/web", {
    ...ANY_DEVICE,
    hugepageLimits: [{ pageSize: "2MB", limit: 0 }],
  });
  assert.equal(plan.writes[0]?.file, "/cg/unified/crate/web/hugetlb.2MB.max");
  assert.deepEqual(plan.enable, {
    required: ["hugetlb"],
    wanted: [],
    files: ["/cg/unified/cgroup.subtree_control", "/cg/unified/crate/cgroup.subtree_control"],
  });
});

Deno.test("a v2 group gets the controllers that its limits need, and those that count", () => {
  const { enable } = planCgroup(V2, "/a/b/c", { pids: { limit: 5 }, cpu: { cpus: "0" } });
  assert.deepEqual(enable, {
    required: ["cpuset", "pids"],
    wanted: ["cpu", "io", "memory"],
    files: [
      "/cg/cgroup.subtree_control",
      "/cg/a/cgroup.subtree_control",
      "/cg/a/b/cgroup.subtree_control",
    ],
  });
});

Deno.test("a container joins every hierarchy of the host", () => {
  const hybrid = planCgroup(HYBRID, "/crate/web", {});
  assert.equal(hybrid.join.length, V1_NAMES.length + 1);
  assert(hybrid.join.includes("/cg/systemd/crate/web/tasks"));
  assert.equal(hybrid.joinDirectory, "/cg/unified/crate/web");
  assert.equal(planCgroup(V1, "/crate/web", {}).joinDirectory, undefined);
  assert.deepEqual(planCgroup(V2, "/crate/web", {}).join, []);
});

Deno.test("the groups above come upper ones first, in every hierarchy", () => {
  const layout: CgroupLayout = {
    v1: new Map([["cpu", "/cg/cpu,cpuacct"], ["cpuacct", "/cg/cpu,cpuacct"]]),
    v2: { mount: "/cg/unified", controllers: [] },
  };
  assert.deepEqual(planCgroup(layout, "/a/b/c", ANY_DEVICE).parents, [
    "/cg/cpu,cpuacct/a",
    "/cg/cpu,cpuacct/a/b",
    "/cg/unified/a",
    "/cg/unified/a/b",
  ]);
  assert.deepEqual(planCgroup(layout, "/a", ANY_DEVICE).parents, []);
});

Deno.test("a limit whose controller the host lacks is refused with field and controller", () => {
  refused(
    { v1: new Map([["pids", "/cg/pids"]]) },
    { memory: { limit: 512 } },
    "memory.limit",
    "v1",
  );
  const bare = { v1: new Map(), v2: { mount: "/cg", controllers: ["pids"] } };
  refused(bare, { memory: { limit: 512 } }, "memory.limit", "no memory controller in cgroup v2");
  refused(bare, { cpu: { cpus: "0" } }, "cpu.cpus", "no cpuset controller");
  refused(bare, { blockIO: { weight: 10 } }, "blockIO.weight", "no io controller");
  refused(HYBRID, { network: { classID: 1 } }, "network.classID");
  refused(V1, { network: { classID: 1 } }, "network.classID", "no net_cls controller in cgroup v1");
  refused(V1, { rdma: { x: { hcaObjects: 1 } } }, "rdma.x", "no rdma controller");
  // An empty group of settings asks for nothing.
  assert.deepEqual(writes(bare, { memory: {}, cpu: {}, blockIO: {}, network: {} }), []);
});

Deno.test("unified keys are written as they are, a line a write, after the other limits", () => {
  const unified = { "memory.high": "400", "io.max": "8:0 rbps=1\n8:16 wbps=2\n" };
  assert.deepEqual(writes(V2, { unified, memory: { limit: 512 } }), [
    "/cg/crate/web/memory.max 512",
    "/cg/crate/web/memory.high 400",
    "/cg/crate/web/io.max 8:0 rbps=1",
    "/cg/crate/web/io.max 8:16 wbps=2",
  ]);
  const { enable } = planCgroup(V2, "/crate/web", { unified: { "cpuset.cpus.partition": "root" } });
  assert.deepEqual(enable?.required, ["cpuset"]);
});

Deno.test("unified keys that v2 does not have here are refused by name", () => {
  refused(V1, { unified: { "memory.high": "1" } }, "unified.memory.high", "cgroup v1 only");
  refused(HYBRID, { unified: { "memory.high": "1" } }, "unified.memory.high", "/cg/memory");
  refused(V2, { unified: { "misc.max": "1" } }, "unified.misc.max", "no misc controller");
  refused(V2, { unified: { "../memory.high": "1" } }, "unified.../memory.high", "name of a");
  refused(V2, { unified: { memory: "1" } }, "unified.memory", "name of a");
  assert.equal(writes(HYBRID, { unified: { "hugetlb.2MB.max": "0" } }).length, 1);
});

Deno.test("the device list is enforced unless told otherwise: by v1's files, or by v2's program", () => {
  const v1 = planCgroup(V1, "/crate/web", {});
  assert.deepEqual(
    v1.writes.map(({ file, value }) => `${file} ${value}`).slice(0, 2),
    ["/cg/devices/crate/web/devices.deny a", "/cg/devices/crate/web/devices.allow c *:* m"],
  );
  assert.equal(v1.deviceProgram, undefined);
  const v2 = planCgroup(V2, "/crate/web", {});
  assert.deepEqual(v2.writes, []);
  assert(v2.deviceProgram !== undefined);
  for (const layout of [V1, V2]) {
    for (
      const plan of [
        planCgroup(layout, "/crate/web", ANY_DEVICE),
        planCgroup(layout, "/crate/web", {}, { devices: false }),
      ]
    ) {
      assert.deepEqual(plan.writes, []);
      assert.equal(plan.deviceProgram, undefined);
    }
  }
});

Deno.test("a host that cannot enforce a device list is refused", () => {
  const layout = { v1: new Map([["memory", "/cg/memory"]]) };
  assert.throws(
    () => planCgroup(layout, "/crate/web", {}),
    (error) =>
      error instanceof CrateError && error.code === "UNSUPPORTED" &&
      error.message.startsWith("linux.resources.devices: "),
  );
  assert.deepEqual(planCgroup(layout, "/crate/web", {}, { devices: false }).writes, []);
});
