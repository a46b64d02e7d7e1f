import assert from "node:assert/strict";
import { launchBundle, outcome } from "./support/bundle.ts";
import {
  controllerVersion,
  EVERYWHERE_THE_SAME,
  readGroupFile,
  reapOrphans,
  type Sandbox,
  test,
  until,
} from "./support/mod.ts";

// What engines ask of a container that runs: exec with a process of theirs, ps, update, events; and features.

const PROCESS = { cwd: "/", env: ["PATH=/bin"], user: { uid: 0, gid: 0 } };

function processFile(box: Sandbox, script: string, more: Record<string, unknown> = {}): string {
  return box.file(
    "process.json",
    JSON.stringify({ ...PROCESS, args: ["/bin/sh", "-c", script], ...more }),
  );
}

async function end(box: Sandbox, id: string): Promise<void> {
  reapOrphans();
  await box.ok(["delete", "--force", id]);
}

test("exec runs a process of the engine's: its words, user, capabilities, and no more", async (box) => {
  await launchBundle(box, "c", "exec sleep 100");
  const script =
    "id -u; id -G; pwd; echo $A; grep -E 'CapEff|NoNewPrivs' /proc/self/status; exit 3";
  const file = processFile(box, script, {
    user: { uid: 5, gid: 6, additionalGids: [7] },
    cwd: "/tmp",
    env: ["PATH=/bin", "A=b"],
    capabilities: { bounding: ["CAP_CHOWN"], effective: [], permitted: [] },
  });
  const { code, stdout } = await box.crate(["exec", "--process", file, "c"]);
  assert.equal(code, 3);
  assert.equal(
    stdout,
    "5\n6 7\n/tmp\nb\nCapEff:\t0000000000000000\nNoNewPrivs:\t0\n",
  );
  // What it leaves out of capabilities is the container's.
  const plain = processFile(box, "grep CapBnd /proc/self/status");
  const own = await box.ok(["exec", "c", "/bin/sh", "-c", "grep CapBnd /proc/self/status"]);
  assert.equal(await box.ok(["exec", "--process", plain, "c"]), own);
  for (
    const [words, code, reason] of [
      [["--process", file, "c", "/bin/true"], 2, /takes no command, got "\/bin\/true"/],
      [["--process", file, "-u", "1", "c"], 2, /--process says what --user would/],
      [["--process", file, "--tty", "c"], 2, /--tty, and .*process\.json has no terminal: true/],
      [["--process", file, "--privileged", "c"], 2, /--process says what --privileged would/],
      [["--process", file, "--no-new-privs", "c"], 2, /--process says what --no-new-privs would/],
      [["--process", box.path("none"), "c"], 125, /--process .*none cannot be read: ENOENT/],
      [["--process", box.file("bad.json", "{"), "c"], 125, /bad\.json:1:2: not JSON/],
      [
        ["--process", box.file("bad2.json", '{"args": ["x"], "cwd": "x"}'), "c"],
        125,
        /bad2\.json: cwd must be absolute/,
      ],
      [["c"], 2, /COMMAND is missing/],
      [["--cwd", "x", "c", "/bin/true"], 125, /--cwd must be absolute, got "x"/],
    ] as const
  ) {
    const refused = await box.crate(["exec", ...words]);
    assert.equal(refused.code, code, refused.stderr);
    assert.match(refused.stderr, reason);
  }
  await end(box, "c");
});

test("exec -d with a process of the engine's is the engine's child, and has its descriptors", async (box) => {
  await launchBundle(box, "c", "exec sleep 100");
  const pidFile = box.path("pid");
  const file = processFile(box, "echo said; echo handed on >&3; exec sleep 100");
  const [out, three] = [box.path("out"), box.path("three")];
  const words = [
    "exec",
    "-d",
    "--process",
    file,
    "--pid-file",
    pidFile,
    "--preserve-fds",
    "1",
    "c",
  ];
  const errors = box.path("errors");
  const { code } = await box.host(`"$@" >${out} 2>${errors} 3>${three} </dev/null`, words);
  assert.deepEqual([code, Deno.readTextFileSync(errors)], [0, ""]);
  await until("its words", () => Deno.readTextFileSync(three) === "handed on\n");
  assert.equal(Deno.readTextFileSync(out), "said\n");
  const pid = Number(Deno.readTextFileSync(pidFile));
  const parent = /^PPid:\s+(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1];
  assert.equal(Number(parent), Deno.pid);
  const pids = JSON.parse(await box.ok(["ps", "-f", "json", "c"]));
  assert.deepEqual(pids.sort(), [(await box.state("c")).pid, pid].sort());
  assert.match(await box.ok(["ps", "c"]), new RegExp(`^PID\n(.*\n)?${pid}\\b`));
  const missing = processFile(box, "", { args: ["nope"] });
  const refused = await box.crate(["exec", "-d", "--process", missing, "c"]);
  assert.deepEqual([refused.code, refused.stderr], [
    127,
    "crate: nope: executable file not found in $PATH of the container\n",
  ]);
  Deno.kill(pid, "SIGKILL");
  await until("its end", async () => {
    reapOrphans();
    return JSON.parse(await box.ok(["ps", "-f", "json", "c"])).length === 1;
  });
  await end(box, "c");
});

test("exec's options for capabilities, groups, privileges, paused containers and groups below", async (box) => {
  await launchBundle(box, "c", "exec sleep 100");
  const status = (name: string) => `grep ${name} /proc/self/status`;
  const cap = await box.ok(["exec", "--cap", "net_raw", "c", "/bin/sh", "-c", status("CapEff")]);
  assert.equal((BigInt(`0x${cap.split(/\s+/)[1]}`) >> 13n) & 1n, 1n);
  const groups = await box.ok(["exec", "-g", "11", "-g", "12", "c", "/bin/id", "-G"]);
  assert.equal(groups, "0 11 12");
  const privileges = ["exec", "--privileged", "--no-new-privs", "c", "/bin/sh", "-c"];
  assert.match(await box.ok([...privileges, status("NoNewPrivs")]), /1$/);
  await box.ok(["pause", "c"]);
  const paused = box.start(["exec", "--ignore-paused", "c", "/bin/echo", "went on"]);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(paused.hasEnded, false);
  await box.ok(["resume", "c"]);
  assert.deepEqual(await paused.ended, { code: 0, stdout: "went on\n", stderr: "" });
  const none = await box.crate(["exec", "--cgroup", "sub", "c", "/bin/true"]);
  assert.equal(none.code, 125);
  assert.match(none.stderr, /--cgroup sub: there is no group .*\/c\/sub/);
  const one = await box.crate(["exec", "--cgroup", "cpu,cpuacct:sub", "c", "/bin/true"]);
  assert.equal(one.code, 125);
  assert.match(one.stderr, /--cgroup cpu,cpuacct:sub: a process is put into one group of all/);
  await end(box, "c");
});

test("update changes limits while the container runs, and remembers them", async (box) => {
  await launchBundle(box, "c", "exec sleep 100", { linux: { resources: { pids: { limit: 30 } } } });
  const read = (controller: string, v1: string, v2: string) =>
    readGroupFile(box.cgroupParent, controller, controllerVersion(controller) === 1 ? v1 : v2);
  await box.ok(["update", "--pids-limit", "40", "--memory", "64m", "--cpu-quota", "50000", "c"]);
  assert.equal(read("pids", "pids.max", "pids.max"), "40");
  assert.equal(read("memory", "memory.limit_in_bytes", "memory.max"), String(64 << 20));
  assert.match(read("cpu", "cpu.cfs_quota_us", "cpu.max"), /^50000/);
  await box.ok(["update", "--memory", "128m", "c"]);
  await box.ok(["update", "-r", "-", "c"], { input: JSON.stringify({ pids: { limit: 50 } }) });
  assert.equal(read("pids", "pids.max", "pids.max"), "50");
  assert.equal(read("memory", "memory.limit_in_bytes", "memory.max"), String(128 << 20));
  const record = JSON.parse(Deno.readTextFileSync(`${box.root}/c/container.json`));
  const { pids, memory } = record.spec.linux.resources;
  assert.deepEqual([pids, memory], [{ limit: 50 }, { limit: 128 << 20 }]);
  for (
    const [words, code, reason] of [
      [["--memory", "x", "c"], 125, /--memory "x" is not a size/],
      [
        ["--blkio-weight", "5", "c"],
        125,
        /--blkio-weight "5" is not a whole number, from 10 to 1000/,
      ],
      [["-r", box.path("none"), "c"], 125, /--resources .*none cannot be read: ENOENT/],
      [["-r", "-", "--memory", "1m", "c"], 2, /--resources says all/],
      [
        ["-r", box.file("bad.json", '{"pids": {"limit": "x"}}'), "c"],
        125,
        /bad\.json: pids\.limit must be/,
      ],
      [["--pids-limit", "5", "none"], 125, /container "none" does not exist/],
    ] as const
  ) {
    const refused = await box.crate(["update", ...words], { input: "{}" });
    assert.equal(refused.code, code, refused.stderr);
    assert.match(refused.stderr, reason);
  }
  await end(box, "c");
});

test("events prints what a container uses, once or until it ends", async (box) => {
  const creation = await launchBundle(box, "c", "exec sleep 100", {
    linux: { resources: { pids: { limit: 30 } } },
  });
  const { type, id, data } = JSON.parse(await box.ok(["events", "--stats", "c"]));
  assert.deepEqual([type, id, data.pids], ["stats", "c", { current: 1, limit: 30 }]);
  assert(data.memory.usage.usage > 0 && data.cpu.usage.total > 0, JSON.stringify(data));
  const stream = box.start(["events", "--interval", "50ms", "c"]);
  await until("three of them", () => stream.stdout.split("\n").length > 3);
  await box.ok(["kill", "c", "KILL"]);
  assert.equal((await stream.ended).code, 0);
  await outcome(box, "c", creation);
  const refused = await box.crate(["events", "--interval", "soon", "c"]);
  assert.deepEqual([refused.code, refused.stderr], [
    125,
    'crate: --interval must be a duration such as 5s, got "soon"\n',
  ]);
});

test("features says what crate does in the runtime-spec's form", async (box) => {
  const features = JSON.parse(await box.ok(["features"]));
  assert.deepEqual([features.ociVersionMin, features.hooks.length], ["1.0.0", 6]);
  assert(features.linux.namespaces.includes("user") && features.mountOptions.includes("rro"));
  assert.equal(features.linux.capabilities.includes("CAP_CHOWN"), true);
  assert.equal(features.annotations["org.opencontainers.runc.checkpoint.enabled"], "true");
});

test("kill and delete take a regular expression, as crun's", async (box) => {
  for (const id of ["web-1", "web-2", "db"]) await launchBundle(box, id, "exec sleep 100");
  const bad = await box.crate(["delete", "--regex", "("]);
  assert.equal(bad.code, 125);
  assert.match(bad.stderr, /^crate: --regex: Invalid regular expression/);
  assert.equal(await box.ok(["kill", "--regex", "^web-", "KILL"]), "");
  await until("their ends", async () => {
    reapOrphans();
    return (await box.state("web-2")).status === "stopped" &&
      (await box.state("web-1")).status === "stopped";
  });
  assert.equal((await box.state("db")).status, "running");
  assert.equal(await box.ok(["delete", "--regex", "^web-"]), "");
  assert.equal(await box.ok(["list", "-q"]), "db");
  const running = await box.crate(["delete", "--regex", "."]);
  assert.equal(running.code, 125);
  assert.match(running.stderr, /container "db" is running/);
  await box.ok(["delete", "--regex", "--force", "."]);
}, EVERYWHERE_THE_SAME);
