import assert from "node:assert/strict";
import { exists, readText, trySyscall } from "../../ffi/mod.ts";
import { CrateError, type ErrorCode } from "../errors.ts";
import { cleanUp, PARENT, run, start, testPlan, until, withGroup } from "./testing.ts";
import {
  cgroupProcesses,
  createCgroup,
  detectLayout,
  joinFiles,
  planCgroup,
  readStats,
} from "./mod.ts";

// Groups on this host, v1 or v2 or both: they are made, they hold, and failures leave nothing.

const layout = detectLayout();
const pureV2 = layout.v1.size === 0;
if (!pureV2) console.log("skip: this host has not cgroup v2 alone: four tests of its groups");

function fails(body: () => void, code: ErrorCode, ...words: (string | RegExp)[]): void {
  assert.throws(body, (error) => {
    assert(error instanceof CrateError, String(error));
    assert.equal(error.code, code, error.message);
    for (const word of words) assert.match(error.message, new RegExp(word));
    return true;
  });
}

Deno.test("a process is in its container's group in every hierarchy of the host", async () => {
  await withGroup({}, async (plan) => {
    const { stdout } = await run(plan, "cat /proc/self/cgroup");
    const groups = stdout.split("\n").map((line) => line.split(":"));
    for (const controller of layout.v1.keys()) {
      const own = groups.find(([, names]) => names?.split(",").includes(controller));
      assert.equal(own?.[2], plan.path, controller);
    }
    if (layout.v2 !== undefined) {
      assert.equal(groups.find(([id]) => id === "0")?.[2], plan.path);
    }
  });
});

Deno.test("a container's processes are listed, those in groups below its own included", async () => {
  await withGroup({}, async (plan) => {
    assert.deepEqual(cgroupProcesses(plan), []);
    await using child = start(plan, "sleep 100 & exec sleep 100");
    await until("two processes", () => cgroupProcesses(plan).length === 2);
    const pids = cgroupProcesses(plan);
    assert(pids.includes(child.pid));
    for (const directory of plan.directories) {
      Deno.mkdirSync(`${directory}/below`);
      // A new v1 cpuset takes nobody; the others show what is to be shown.
      if (directory === plan.v1.get("cpuset")) continue;
      Deno.writeTextFileSync(`${directory}/below/cgroup.procs`, String(child.pid));
    }
    assert.deepEqual(cgroupProcesses(plan).sort(), pids.sort());
    if (plan.v2 !== undefined) {
      const later = joinFiles(plan, child.pid);
      assert.equal(later.joinDirectory, `${plan.v2}/below`);
      assert.deepEqual(later.join, plan.join);
    }
    child.kill("SIGKILL");
  });
});

Deno.test("the groups above are made when missing and shared by those below", async () => {
  const first = testPlan();
  const second = testPlan();
  createCgroup(first);
  createCgroup(second);
  try {
    for (const directory of [...first.parents, ...second.directories]) assert(exists(directory));
    for (const plan of [first, second]) assert.equal((await run(plan, "true")).code, 0);
  } finally {
    await cleanUp(first);
    await cleanUp(second);
  }
  for (const directory of first.parents) assert(!exists(directory), directory);
});

Deno.test("a group deep below groups that nobody made takes processes", async () => {
  const plan = planCgroup(layout, `${PARENT}/deep/er/still`, { pids: { limit: 9 } });
  createCgroup(plan);
  try {
    assert.equal((await run(plan, "true")).code, 0);
  } finally {
    await cleanUp(plan);
  }
});

Deno.test("a group that is there already is an error, or used on request", async () => {
  await withGroup({}, async (plan) => {
    fails(() => createCgroup(plan), "EXISTS", plan.directories[0]!);
    const again = planCgroup(layout, plan.path, { pids: { limit: 77 } });
    createCgroup(again, { existing: true });
    const { stdout } = await run(again, `cat ${plan.v1.get("pids") ?? plan.v2}/pids.max`);
    assert.equal(stdout, "77");
  });
});

Deno.test("a container that cannot have one of its groups leaves none of the others", () => {
  const plan = testPlan();
  const last = plan.directories.at(-1)!;
  Deno.mkdirSync(last, { recursive: true });
  try {
    fails(() => createCgroup(plan), "EXISTS", last);
    for (const directory of plan.directories) {
      assert.equal(exists(directory), directory === last, directory);
    }
  } finally {
    Deno.removeSync(last);
  }
  const [parent, ...others] = plan.parents.toReversed();
  Deno.removeSync(parent!);
  for (const directory of others) assert(!exists(directory), directory);
});

Deno.test("a value that the kernel refuses is named with its field and file, and nothing is left", () => {
  const plan = testPlan({ cpu: { cpus: "100000" }, pids: { limit: 5 } });
  fails(() => createCgroup(plan), "INVALID", "resources.cpu.cpus: ", "cpuset.cpus", '"100000"');
  const disk = testPlan({
    blockIO: { throttleReadBpsDevice: [{ major: 4000, minor: 9, rate: 1024 }] },
  });
  fails(() => createCgroup(disk), "INVALID", /throttleReadBpsDevice\[0\]: .*4000:9.*: ENODEV$/);
  for (const directory of [...plan.directories, ...disk.directories, ...plan.parents]) {
    assert(!exists(directory), directory);
  }
});

Deno.test("a limit that this kernel has no file for is unsupported, by its name", () => {
  const plan = testPlan();
  const directory = plan.v1.get("pids") ?? plan.v2;
  const file = `${directory}/pids.no_such_file`;
  const broken = { ...plan, writes: [{ file, value: "1", field: "pids.imagined" }] };
  fails(
    () => createCgroup(broken),
    "UNSUPPORTED",
    "pids.imagined: this kernel has no pids.no_such_file",
  );
  for (const made of plan.directories) assert(!exists(made), made);
});

Deno.test("a user without the right to make groups gets a sentence that says what it takes", () => {
  const plan = testPlan();
  // A raw call changes this thread alone; its file capabilities go with the effective uid.
  assert.equal(trySyscall("setresuid", -1, 65534, -1), 0);
  try {
    fails(() => createCgroup(plan), "PERMISSION", "EACCES", "root", "delegated");
  } finally {
    assert.equal(trySyscall("setresuid", -1, 0, -1), 0);
  }
  for (const directory of plan.parents) assert(!exists(directory), directory);
});

Deno.test("a weight for block devices is the scheduler's that the kernel has", async () => {
  await withGroup({ blockIO: { weight: 500 } }, (plan) => {
    const directory = plan.v1.get("blkio") ?? plan.v2!;
    const files = {
      "blkio.bfq.weight": "500",
      "io.bfq.weight": "default 500",
      "io.weight": "default 4950",
    };
    const [file, value] = Object.entries(files).find(([file]) => exists(`${directory}/${file}`))!;
    assert.equal(readText(`${directory}/${file}`).trim(), value, file);
  });
});

Deno.test({
  name: "huge pages are limited in use and in reservation, and counted",
  ignore: !pureV2,
  fn: async () => {
    await withGroup({ hugepageLimits: [{ pageSize: "2MB", limit: 4194304 }] }, (plan) => {
      for (const file of ["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"]) {
        assert.equal(readText(`${plan.v2}/${file}`), "4194304\n");
      }
      assert.deepEqual(readStats(plan).hugetlb?.["2MB"], { usage: 0, limit: 4194304, failures: 0 });
    });
  },
});

Deno.test({
  name: "unified keys are written into the v2 group",
  ignore: !pureV2,
  fn: async () => {
    await withGroup({ unified: { "memory.high": "33554432" } }, (plan) => {
      assert.equal(readText(`${plan.v2}/memory.high`), "33554432\n");
    });
  },
});

Deno.test({
  name: "a v2 group has the controllers that count, also below groups that nobody made",
  ignore: !pureV2,
  fn: async () => {
    await withGroup({ cpu: { cpus: "0" } }, (plan) => {
      const has = readText(`${plan.v2}/cgroup.controllers`).trim().split(" ");
      for (const name of ["cpuset", "cpu", "io", "memory", "pids"]) {
        assert(has.includes(name), name);
      }
    });
  },
});

Deno.test({
  name: "a group above with processes of its own, which passes nothing on, is named as the reason",
  ignore: !pureV2,
  fn: async () => {
    const above = testPlan();
    createCgroup(above);
    await using child = start(above, "exec sleep 100");
    await until("a process", () => cgroupProcesses(above).length === 1);
    try {
      const plan = planCgroup(layout, `${above.path}/x`, { memory: { limit: 1 << 26 } });
      fails(() => createCgroup(plan), "UNSUPPORTED", "memory controller", "processes of its own");
      assert(!exists(`${above.v2}/x`));
    } finally {
      child.kill("SIGKILL");
      await cleanUp(above);
    }
  },
});
