import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import { makeBundle } from "./support/bundle.ts";
import type { Spec } from "../lib/spec/mod.ts";
import { IMAGE, plain, PodmanEngine } from "./support/engines.ts";
import { COMMAND } from "./support/sandbox.ts";
import { EVERYWHERE_THE_SAME, inTurn, Running, type Sandbox, test, until } from "./support/mod.ts";
import { Systemd, withoutSystemd } from "./support/systemd.ts";

// systemd makes the groups of crate's containers as it makes those of runc's.

const skip = withoutSystemd() ?? false;
// What systemd is asked and answers does not depend on the groups' version.
const onHost = skip || EVERYWHERE_THE_SAME.skip;
// A scope is only a group; a service is a program that systemd starts as root.
const onMachine = Deno.env.get("TEST_MACHINE") !== "vm" &&
  "systemd starts services in the virtual machine only";
const DEVICES = [
  { allow: false, access: "rwm" },
  { allow: true, type: "c", major: 10, minor: 229, access: "rwm" },
] as const;

function bundle(
  box: Sandbox,
  id: string,
  linux: Spec["linux"] = {},
  annotations: Spec["annotations"] = {},
): string {
  const script = "echo begun; exec sleep 1000";
  return makeBundle(box, id, script, {
    linux: { cgroupsPath: `machine-pod.slice:test:${id}`, ...linux },
    spec: { annotations },
  });
}

const SCOPE = "test-a.scope";
const GROUP = `/machine.slice/machine-pod.slice/${SCOPE}`;

/** What a unit has by itself, or by the time of its making. */
const OWN =
  /^(.*Monotonic|.*Timestamp|.*USageNSec|CPUUsageNSec|ControlGroupId|InvocationID|Memory(Current|Available|Peak)|TasksCurrent|IP.*|IO(Read|Write).*|Description|DropInPaths|NeedDaemonReload|Names|Id|Transient)$/;

function comparable(shown: Record<string, string>): Record<string, string> {
  const kept = Object.entries(shown).filter(([name]) => !OWN.test(name));
  // runc 1.1 allows every container /dev/net/tun, which later ones do not.
  const entries = kept.map(([name, value]) => [name, value.replace("/dev/char/10:200 rwm; ", "")]);
  return Object.fromEntries(entries);
}

test("systemd makes of a config for crate what it makes for runc", async (box) => {
  await using systemd = await Systemd.start(box);
  const directory = bundle(box, "a", {
    resources: {
      devices: DEVICES,
      memory: { limit: 64 << 20, reservation: 32 << 20 },
      cpu: { quota: 20000, period: 50000, cpus: "0" },
      pids: { limit: 33 },
    },
  }, {
    "org.systemd.property.TimeoutStopSec": "uint64 7",
    "org.systemd.property.CollectMode": "'inactive-or-failed'",
    "org.systemd.property.SendSIGHUP": "true",
  });
  const seen: Record<string, unknown>[] = [];
  for (const name of ["runc", "crate"] as const) {
    let made = await systemd.runtime(name, ["create", "--bundle", directory, "a"]);
    // runc makes the scope's group in each hierarchy itself, and may come before systemd has made the slice's, or write into
    // one that systemd has just removed.
    const raced = /(?:mkdir|openat2) .*no such file/;
    for (let i = 0; i < 5 && name === "runc" && raced.test(made.stderr); i++) {
      await systemd.runtime(name, ["delete", "--force", "a"]);
      made = await systemd.runtime(name, ["create", "--bundle", directory, "a"]);
    }
    // In a machine without /dev/net/tun runc says that it has none.
    assert.equal(made.code, 0, made.stderr);
    const created = await systemd.show(SCOPE);
    assert.match(created.Description!, name === "runc" ? /^libcontainer/ : /^crate container a$/);
    const files: Record<string, string | undefined> = {};
    const look = async () => {
      for (
        const [controller, file] of [
          ["memory", "memory.max"],
          ["memory", "memory.low"],
          ["memory", "memory.limit_in_bytes"],
          ["cpu", "cpu.max"],
          ["cpu", "cpu.cfs_quota_us"],
          ["pids", "pids.max"],
          ["cpuset", "cpuset.cpus"],
        ] as const
      ) files[file] = await systemd.groupFile(GROUP, controller, file);
      return { ...files };
    };
    const limits = await look();
    const words = ["update", "--memory", String(48 << 20), "--cpu-quota", "10000", "a"];
    const updated = await systemd.runtime(name, words);
    assert.deepEqual([updated.code, updated.stderr], [0, ""], name);
    seen.push({
      created: comparable(created),
      limits,
      updated: comparable(await systemd.show(SCOPE)),
      files: await look(),
    });
    const deleted = await systemd.runtime(name, ["delete", "--force", "a"]);
    assert.deepEqual([deleted.code, deleted.stderr], [0, ""], name);
    assert.deepEqual(await systemd.scopes(), [], name);
  }
  const [runc, crate] = seen;
  assert.deepEqual(crate, runc);
  const { created, limits } = crate as Record<string, Record<string, string>>;
  assert.equal(created!.ControlGroup, GROUP);
  assert.equal(created!.TasksMax, "33");
  assert.equal(created!.TimeoutStopUSec, "7s");
  assert.equal(created!.AllowedCPUs, "0");
  assert.equal(created!.DevicePolicy, "strict");
  assert.equal(limits!["pids.max"], "33");
}, { skip });

test(
  "all that is done to a container works on one that systemd has made the groups of",
  async (box) => {
    await using systemd = await Systemd.start(box);
    const crate = (...words: string[]) => systemd.crate(...words);
    assert.equal(await crate("create", "--bundle", bundle(box, "a"), "a"), "");
    const state = JSON.parse(await crate("state", "a"));
    assert.equal(state.status, "created");
    const pid = String(state.pid);
    assert.equal(await systemd.groupFile(GROUP, "systemd", "cgroup.procs"), pid);
    await crate("start", "a");
    assert.equal((await systemd.show(SCOPE)).ActiveState, "active");
    const groups = await crate("exec", "a", "cat", "/proc/self/cgroup");
    for (const line of groups.split("\n")) assert.ok(line.endsWith(GROUP), line);
    assert.match(await crate("ps", "--format", "json", "a"), new RegExp(`^\\[${pid}\\]$`));
    await crate("pause", "a");
    assert.equal(JSON.parse(await crate("state", "a")).status, "paused");
    await crate("resume", "a");
    assert.equal(JSON.parse(await crate("events", "--stats", "a")).data.pids.current, 1);
    await crate("update", "--pids-limit", "17", "a");
    assert.equal((await systemd.show(SCOPE)).TasksMax, "17");
    assert.equal(await systemd.groupFile(GROUP, "pids", "pids.max"), "17");
    await crate("kill", "a", "KILL");
    // systemd is told of the last process's end by the kernel.
    await until("the scope ends", async () => (await systemd.scopes()).length === 0);
    await crate("delete", "a");
    assert.equal(await systemd.groupFile(GROUP, "freezer", "cgroup.procs"), undefined);
  },
  { skip },
);

test(
  "crate run has its group made by systemd, again when it is started again, and leaves no unit",
  async (box) => {
    await using systemd = await Systemd.start(box);
    const run = async (...words: string[]) =>
      await systemd.crate("run", "-r", box.rootfs, "--cgroupns", "host", ...words);
    const groups = await run("--rm", "/bin/cat", "/proc/self/cgroup");
    for (const line of groups.split("\n")) {
      assert.match(line, /:\/test\.slice\/crate-[0-9a-f]+\.scope$/);
    }
    await until("its scope ends", async () => (await systemd.scopes()).length === 0);
    assert.equal(await run("-d", "--name", "web", "/bin/sleep", "1000"), "web");
    const [scope] = await systemd.scopes();
    assert.match(scope!, /^crate-web\.[0-9a-f]{8}\.scope$/);
    await systemd.crate("stop", "-t", "0", "web");
    await until("its scope ends", async () => (await systemd.scopes()).length === 0);
    await systemd.crate("start", "web");
    assert.deepEqual(await systemd.scopes(), [scope]);
    await systemd.crate("delete", "--force", "web");
    assert.deepEqual(await systemd.scopes(), []);
  },
  { skip: onHost },
);

test("a slice is made for a container whose path ends in one, and removed with it", async (box) => {
  await using systemd = await Systemd.start(box);
  const directory = bundle(box, "a", { cgroupsPath: "machine.slice::machine-a.slice" });
  await systemd.crate("create", "--bundle", directory, "a");
  const { ActiveState, Wants } = await systemd.show("machine-a.slice");
  assert.deepEqual([ActiveState, Wants], ["active", "machine.slice"]);
  await systemd.crate("delete", "--force", "a");
  assert.equal((await systemd.show("machine-a.slice")).ActiveState, "inactive");
  const run = await systemd.runtime("crate", ["run", "--bundle", directory, "a"]);
  assert.match(run.stderr, /machine-a\.slice would outlive the container/);
}, { skip: onHost });

test("what goes wrong leaves no unit, and no other container's is touched", async (box) => {
  await using systemd = await Systemd.start(box);
  const create = async (directory: string, id: string) =>
    await systemd.runtime("crate", ["create", "--bundle", directory, id]);
  const refused = async (directory: string, message: RegExp, id = "a") => {
    const { code, stderr } = await create(directory, id);
    assert.equal(code, 125);
    assert.match(stderr, message);
  };
  const path = (cgroupsPath: string) => bundle(box, "a", { cgroupsPath });
  await refused(path("/machine/a"), /linux\.cgroupsPath must be SLICE:PREFIX:NAME/);
  await refused(path("a/b.slice:c:d"), /must begin with the name of a slice/);
  const annotated = (name: string, value: string) =>
    bundle(box, "a", {}, { [`org.systemd.property.${name}`]: value });
  await refused(annotated("TasksMax", "many"), /TasksMax"\] must be a value as GVariant's text/);
  await refused(annotated("NoSuchThing", "true"), /systemd refuses StartTransientUnit: .*NoSuchTh/);
  const broken = makeBundle(box, "a", "", {
    linux: { cgroupsPath: "machine-pod.slice:test:a" },
    process: { args: ["/nope"] },
  });
  const { code } = await create(broken, "a");
  assert.equal(code, 127);
  assert.deepEqual(await systemd.scopes(), []);
  assert.equal(await systemd.crate("list", "-q"), "");

  await systemd.crate("create", "--bundle", bundle(box, "a"), "a");
  await refused(bundle(box, "a"), /systemd has a unit test-a\.scope already/, "b");
  assert.deepEqual(await systemd.scopes(), [SCOPE]);
  assert.equal(JSON.parse(await systemd.crate("state", "a")).status, "created");
  await systemd.crate("delete", "--force", "a");
  assert.deepEqual(await systemd.scopes(), []);
}, { skip: onHost });

test(
  "a crate that is killed while it creates leaves no unit for long, and its name is free",
  async (box) => {
    await using systemd = await Systemd.start(box);
    const directory = bundle(box, "a");
    const times = 15;
    const began = performance.now();
    await systemd.crate("create", "--bundle", directory, "a");
    const whole = (performance.now() - began) / 1000;
    await systemd.crate("delete", "--force", "a");
    let count = 0;
    for (let i = 1; i <= times; i++) {
      const seconds = 1.2 * whole * i / times;
      const script = `timeout -s KILL ${seconds.toFixed(3)} "$@" </dev/null >/dev/null 2>&1; true`;
      const root = box.path("root-crate");
      const words = [COMMAND, "--root", root, "--systemd-cgroup", "create"];
      await systemd.run([
        ...["bash", "-c", `cd ${Deno.cwd()}; ${script}`, "bash"],
        ...[...words, "--bundle", directory, "a"],
      ]);
      const made = await systemd.runtime("crate", ["state", "a"]);
      if (made.code === 0) {
        count++;
        await systemd.crate("delete", "--force", "a");
      }
      await until(
        `nothing is left of the ${i}th`,
        async () => (await systemd.scopes()).length === 0,
      );
    }
    assert(count > 0, "the last ones had the time to make it");
    await systemd.crate("create", "--bundle", directory, "a");
    await systemd.crate("delete", "--force", "a");
  },
  { skip: onHost },
);

test(
  "a container in systemd's group reaches the devices that its config allows, and no others",
  async (box) => {
    await using systemd = await Systemd.start(box);
    const nodes = [
      { path: "/dev/kmsg", type: "c", major: 1, minor: 11 },
      { path: "/dev/fuse", type: "c", major: 10, minor: 229 },
    ] as const;
    const look = "for f in null kmsg fuse; do (: </dev/$f) 2>&1; echo $f $?; done >/seen";
    const directory = makeBundle(box, "a", look, {
      linux: { cgroupsPath: ":test:a", devices: nodes, resources: { devices: DEVICES } },
    });
    await systemd.crate("create", "--bundle", directory, "a");
    await systemd.crate("start", "a");
    await until("it ends", async () => {
      return JSON.parse(await systemd.crate("state", "a")).status === "stopped";
    });
    await systemd.crate("delete", "a");
    const seen = Deno.readTextFileSync(`${box.rootfs}/seen`);
    assert.match(seen, /^null 0$/m);
    assert.match(seen, /can't open \/dev\/kmsg: Operation not permitted\nkmsg [1-9]/);
    assert.doesNotMatch(seen, /fuse: Operation not permitted/);
  },
  { skip },
);

test("where there is no systemd it is said, and nothing is left", async (box) => {
  const directory = bundle(box, "a");
  const script =
    'for d in /run/systemd /run/dbus; do mkdir -p $d; mount -t tmpfs none $d; done; exec "$@"';
  const crate = [
    COMMAND,
    "--root",
    box.root,
    "--systemd-cgroup",
    "create",
    "--bundle",
    directory,
    "a",
  ];
  const words = ["unshare", "-m", "bash", "-c", script, "bash", ...crate];
  const { code, stderr } = await new Running(words).ended;
  assert.equal(code, 125);
  assert.match(
    stderr,
    /systemd does not listen at \/run\/systemd\/private or \/run\/dbus\/system_bus_socket: ENOENT; without/,
  );
});

test("podman has its groups made by systemd with crate as with runc", async (box) => {
  await using systemd = await Systemd.start(box);
  await using podman = await PodmanEngine.start(box, (words) => systemd.inside(words));
  const seen: string[][] = [];
  for (const runtime of ["crate", "runc"] as const) {
    const engine = podman.engine(runtime);
    const said: string[] = [];
    const say = async (...words: string[]) => {
      const { code, stdout, stderr } = await engine(words);
      said.push(`${words.join(" ")}: ${code} ${plain(stdout)}`);
      return `${stdout}${stderr}`;
    };
    const limits = ["-m", "64m", "--pids-limit", "20", "--cpus", "0.5"];
    const none = ["--net", "none"];
    const files = ["memory.max", "pids.max", "cpu.max", "*/memory.limit_in_bytes", "*/pids.max"];
    const cat = `cd /sys/fs/cgroup; cat ${files.join(" ")} 2>/dev/null; true`;
    await say("run", "--rm", ...none, ...limits, IMAGE, "/bin/sh", "-c", cat);
    const script = "trap 'exit 5' TERM; while sleep 0.1; do :; done";
    const words = ["--name", "web", ...none, ...limits, IMAGE, "/bin/sh", "-c", script];
    await say("run", "-d", ...words);
    const id = (await engine(["inspect", "--format", "{{.Id}}", "web"])).stdout.trim();
    const scope = `libpod-${id}.scope`;
    const { Slice, TasksMax, CPUQuotaPerSecUSec, Delegate, ControlGroup } = await systemd.show(
      scope,
    );
    said.push(plain([Slice, TasksMax, CPUQuotaPerSecUSec, Delegate, ControlGroup].join(" ")));
    await say("inspect", "--format", "{{.State.CgroupPath}}", "web");
    await say("exec", "web", "/bin/sh", "-c", "echo inside; exit 9");
    await say("pause", "web");
    await say("unpause", "web");
    await say("stop", "-t", "5", "web");
    await say("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "web");
    await say("start", "web");
    await say("rm", "-f", "-t", "0", "web");
    const infra = ["--infra-image", IMAGE, "--infra-command", "/bin/sleep 100"];
    await say("pod", "create", "--name", "pod", "--net", "none", ...infra);
    await say("run", "-d", "--pod", "pod", "--name", "first", IMAGE, "/bin/sleep", "100");
    const path = await engine(["inspect", "--format", "{{.State.CgroupPath}}", "first"]);
    said.push(plain(path.stdout.replace(/pod_[0-9a-f]+/, "pod_ID")));
    await say("pod", "rm", "-f", "-t", "0", "pod");
    await until("podman's scopes end", async () => (await systemd.scopes()).length === 0);
    seen.push(said);
  }
  for (const said of seen) assert.deepEqual(said, seen[0]);
  const said = seen[0]!.join("\n");
  assert.match(said, /machine\.slice\/machine-libpod_pod_ID\.slice\/libpod-ID\.scope/);
  assert.match(said, /^machine\.slice 20 500ms yes \/machine\.slice\/libpod-ID\.scope$/m);
}, { skip: skip || inTurn(8).skip });

test(
  "a service is started when its container says so, and has its process then",
  async (box) => {
    await using systemd = await Systemd.start(box);
    for (const [name, options] of [["back", ["-d"]], ["fore", []]] as const) {
      const properties = [
        "Type=notify",
        "NotifyAccess=main",
        "TimeoutStartSec=60",
        "DefaultDependencies=no",
      ]
        .flatMap((property) => ["-p", property]);
      const settings = [
        "--setenv",
        `PATH=${Deno.env.get("PATH")}`,
        "--setenv",
        "CRATE_NETWORK_ENABLED=false",
      ];
      const service = ["systemd-run", "--unit", name, ...properties, ...settings];
      const crate = [COMMAND, "--root", box.path("root-crate"), "--systemd-cgroup"];
      const volumes = ["/usr", "/lib", "/lib64"].filter(exists)
        .flatMap((path) => ["-v", `${path}:${path}:ro`]);
      const script = "sleep 0.3; systemd-notify --ready; exec sleep 1000";
      const run = ["run", "--name", name, "-r", box.rootfs, ...volumes, ...options];
      const words = [...service, ...crate, ...run, "/bin/sh", "-c", script];
      const { code, stderr } = await systemd.run(words);
      assert.equal(code, 0, stderr);
      const { ActiveState, MainPID } = await systemd.show(`${name}.service`);
      const { pid } = JSON.parse(await systemd.crate("state", name));
      assert.deepEqual([ActiveState, MainPID], ["active", String(pid)]);
      await systemd.crate("delete", "--force", name);
    }
  },
  { skip: skip || onMachine },
);
