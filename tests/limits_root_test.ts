import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import {
  controllerVersion,
  EMULATED,
  EVERYWHERE_THE_SAME,
  groupDirectories,
  readGroupFile,
  type Sandbox,
  test,
} from "./support/mod.ts";

// Limits of memory, processor and processes, and the groups that hold them.

const needs = (controller: string) =>
  controllerVersion(controller) === undefined && `this host has no ${controller} controller`;

/** The files of a container's group while it runs: in v1's words, or v2's. */
async function limits(
  box: Sandbox,
  options: readonly string[],
  controller: string,
  files: { readonly v1: readonly string[]; readonly v2: readonly string[] },
): Promise<string[]> {
  const id = await box.detached("sleep 100", options);
  const version = controllerVersion(controller);
  const values = (version === 2 ? files.v2 : files.v1)
    .map((file) => readGroupFile(box.cgroupParent, controller, file));
  await box.ok(["delete", "--force", id]);
  return values;
}

function noSwapLimit(): string | false {
  const file = controllerVersion("memory") === 1 ? "memory.memsw.limit_in_bytes" : undefined;
  const there = file === undefined ||
    groupDirectories("/").some((directory) => exists(`${directory}/${file}`));
  return !there && "this host does not count swap";
}

const onV2 = (controller: string) => controllerVersion(controller) === 2;

test("--memory limits memory: what takes more is killed, with 137", async (box) => {
  const script = "head -c 100000000 /dev/zero | tail -c 100000000 >/dev/null; echo $?";
  assert.equal(await box.sh(script), "0");
  // tail keeps it all in memory.
  const words = [
    "run",
    "--rm",
    "--memory",
    "32m",
    "-r",
    box.rootfs,
    "tail",
    "-c",
    "100000000",
    "/dev/zero",
  ];
  const { code } = await box.crate(words);
  assert.equal(code, 137);
}, { skip: needs("memory") });

test("--memory is in the group's file, in bytes, whatever the unit", async (box) => {
  const files = { v1: ["memory.limit_in_bytes"], v2: ["memory.max"] };
  for (
    const [word, bytes] of [["64m", 64 << 20], ["0.125g", 128 << 20], [
      "67108864",
      64 << 20,
    ]] as const
  ) {
    assert.deepEqual(await limits(box, ["-m", word], "memory", files), [String(bytes)]);
  }
}, { skip: needs("memory") });

test("--memory-reservation is in the group's file", async (box) => {
  const files = { v1: ["memory.soft_limit_in_bytes"], v2: ["memory.low"] };
  const options = ["--memory", "64m", "--memory-reservation", "32m"];
  assert.deepEqual(await limits(box, options, "memory", files), [String(32 << 20)]);
}, { skip: needs("memory") });

test("--memory-swap is memory and swap together", async (box) => {
  const files = { v1: ["memory.memsw.limit_in_bytes"], v2: ["memory.swap.max"] };
  const value = async (swap: string) =>
    (await limits(box, ["-m", "64m", "--memory-swap", swap], "memory", files))[0];
  // v2 has a limit of swap alone.
  assert.equal(await value("96m"), String((onV2("memory") ? 32 : 96) << 20));
  assert.equal(await value("64m"), onV2("memory") ? "0" : String(64 << 20));
}, { skip: needs("memory") || noSwapLimit() });

test("--pids-limit contains a fork bomb, and the host does not notice", async (box) => {
  const options = ["--pids-limit", "20"];
  const bomb = "i=0; while [ $i -lt 100 ]; do sleep 100 & i=$((i+1)); done; echo done";
  const words = ["run", "--rm", ...options, "-r", box.rootfs, "sh", "-c", bomb];
  const { code, stdout, stderr } = await box.crate(words);
  // A shell that cannot fork ends.
  assert.notEqual([code, stdout].join(), "0,done\n");
  assert.match(stderr, /can't fork/);
  const files = { v1: ["pids.max"], v2: ["pids.max"] };
  assert.deepEqual(await limits(box, options, "pids", files), ["20"]);
  assert.deepEqual(await limits(box, ["--pids-limit", "-1"], "pids", files), ["max"]);
}, { skip: needs("pids") });

test("--cpus is a quota and a period", async (box) => {
  const files = { v1: ["cpu.cfs_quota_us", "cpu.cfs_period_us"], v2: ["cpu.max"] };
  const v2 = onV2("cpu");
  assert.deepEqual(
    await limits(box, ["--cpus", "1.5"], "cpu", files),
    v2 ? ["150000 100000"] : ["150000", "100000"],
  );
  assert.deepEqual(
    await limits(box, ["--cpu-quota", "20000", "--cpu-period", "50000"], "cpu", files),
    v2 ? ["20000 50000"] : ["20000", "50000"],
  );
}, { skip: needs("cpu") });

test("--cpus is felt: a container gets no more than its part of the time", async (box) => {
  const turns = EMULATED ? 40_000 : 300_000;
  const script =
    `i=0; while [ $i -lt ${turns} ]; do i=$((i+1)); done; cat /proc/self/stat >/dev/null; ` +
    "set -- $(cut -d' ' -f14,15 /proc/1/stat); echo $(($1 + $2)) $(cut -d' ' -f1 /proc/uptime)";
  const start = performance.now();
  const [ticks] = (await box.sh(script, ["--cpus", "0.25"])).split(" ");
  const wall = performance.now() - start;
  // In hundredths of a second; it may not have had more than a quarter of the time, and some slack.
  assert.ok(Number(ticks) * 10 < wall * 0.25 + 150, `${Number(ticks) * 10} ms of ${wall} ms`);
}, { skip: needs("cpu") });

test("--cpu-shares is in the group's file, as a weight on v2", async (box) => {
  const [value] = await limits(box, ["--cpu-shares", "512"], "cpu", {
    v1: ["cpu.shares"],
    v2: ["cpu.weight"],
  });
  if (onV2("cpu")) assert.ok(Number(value) > 1 && Number(value) < 100, value);
  else assert.equal(value, "512");
}, { skip: needs("cpu") });

test("--cpuset-cpus is where the container runs", async (box) => {
  const script = "grep Cpus_allowed_list /proc/self/status | tr '\\t' ' '";
  assert.equal(await box.sh(script, ["--cpuset-cpus", "0"]), "Cpus_allowed_list: 0");
  const words = ["run", "--rm", "-r", box.rootfs, "--cpuset-cpus", "4000", "true"];
  const { code, stderr } = await box.crate(words);
  assert.equal(code, 125);
  assert.match(stderr, /^crate: .*cpus.*4000.*\n$/);
}, { skip: needs("cpuset") });

test("a container is in its groups before its first instruction", async (box) => {
  const lines = (await box.sh("cat /proc/self/cgroup", ["--cgroupns", "host"])).split("\n");
  const hierarchies = groupDirectories(box.cgroupParent).length;
  assert.equal(lines.filter((line) => line.includes(`:${box.cgroupParent}/`)).length, hierarchies);
});

test("the groups are gone when the container is", async (box) => {
  const groups = () =>
    groupDirectories(box.cgroupParent).flatMap((parent) =>
      [...Deno.readDirSync(parent)].filter(({ isDirectory }) => isDirectory)
    );
  const id = await box.detached("sleep 100", ["--memory", "64m", "--pids-limit", "10"]);
  assert.ok(groups().length > 0);
  await box.ok(["delete", "--force", id]);
  assert.equal(groups().length, 0, "when delete returns");
});

test("groups that a container has made in its own are removed with it", async (box) => {
  const own = onV2("memory") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
  const script = `mkdir ${own}/a ${own}/a/b && echo made; sleep 100`;
  const id = await box.detached(script, ["--privileged"]);
  await box.logged(id, "made");
  await box.ok(["delete", "--force", id]);
}, { skip: needs("memory") });

test("limits of the configuration hold, and options go before them", async (box) => {
  const config = box.file(
    "config.toml",
    '[cgroup]\nmemory_limit = "96m"\npids_max = 33\ncpu_quota = 30000\n',
  );
  const run = async (options: readonly string[]) => {
    const words = ["--config", config, "run", "-d", ...options, "-r", box.rootfs, "sleep", "100"];
    const id = await box.ok(words);
    const read = (controller: string, v1: string, v2: string) =>
      readGroupFile(box.cgroupParent, controller, onV2(controller) ? v2 : v1);
    const values = [
      read("memory", "memory.limit_in_bytes", "memory.max"),
      read("pids", "pids.max", "pids.max"),
      read("cpu", "cpu.cfs_quota_us", "cpu.max").split(" ")[0],
    ];
    await box.ok(["delete", "--force", id]);
    return values;
  };
  assert.deepEqual(await run([]), [String(96 << 20), "33", "30000"]);
  const over = ["-m", "64m", "--pids-limit", "44", "--cpus", "0.5"];
  assert.deepEqual(await run(over), [String(64 << 20), "44", "50000"]);
}, { skip: needs("memory") || needs("pids") || needs("cpu") });

test("limits of the wrong shape are refused, each in a sentence", async (box) => {
  for (
    const [options, sentence] of [
      [["--memory", "512q"], /^crate: --memory "512q" is not a size.*\n$/],
      [["--memory", "-5"], /^crate: --memory "-5" is not a size.*\n$/],
      [["--cpus", "none"], /^crate: --cpus "none" .*\n$/],
      [["--cpus", "0"], /^crate: --cpus "0" .*\n$/],
      [["--cpus", "1", "--cpu-quota", "5000"], /^crate: --cpus and --cpu-quota .*\n$/],
      [["--cpu-shares", "1"], /^crate: --cpu-shares "1" .*\n$/],
      [["--cpuset-cpus", "a-b"], /^crate: .*cpus.*"a-b".*\n$/],
      [["--pids-limit", "some"], /^crate: --pids-limit "some" .*\n$/],
      [["--shm-size", "big"], /^crate: --shm-size "big" .*\n$/],
    ] as const
  ) {
    const words = ["run", "--rm", "-r", box.rootfs, ...options, "true"];
    const { code, stdout, stderr } = await box.crate(words);
    assert.deepEqual([code, stdout], [125, ""], options.join(" "));
    assert.match(stderr, sentence);
  }
}, EVERYWHERE_THE_SAME);
