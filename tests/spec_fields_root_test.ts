// Not in the virtual machine: what it has of cgroups is of v1
import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import type { LinuxNamespace } from "../lib/spec/mod.ts";
import { create, launchBundle, makeBundle, outcome } from "./support/bundle.ts";
import { reapOrphans, Running, type Sandbox, test } from "./support/mod.ts";

// What an OCI config may say beyond what `crate run` has options for, each seen from inside.

const NAMESPACES: readonly LinuxNamespace[] = [
  { type: "pid" },
  { type: "network" },
  { type: "ipc" },
  { type: "uts" },
  { type: "mount" },
];

const MAPS = {
  uidMappings: [{ containerID: 0, hostID: 100_000, size: 1000 }],
  gidMappings: [{ containerID: 0, hostID: 200_000, size: 1000 }],
};

async function said(box: Sandbox, id: string, script: string, changes = {}): Promise<string> {
  return await outcome(box, id, await launchBundle(box, id, script, changes));
}

/** The root filesystem's owner is the user namespace's root, as an engine makes it. */
async function giveRoot(box: Sandbox): Promise<void> {
  Deno.chmodSync(box.directory, 0o755);
  Deno.mkdirSync(`${box.rootfs}/tmp`, { recursive: true });
  const { code } = await new Running(["chown", "-hR", "100000:200000", box.rootfs]).ended;
  assert.equal(code, 0);
}

test("a user namespace has the maps of the config, and its root owns what is made for it", async (box) => {
  const script = `cat /proc/self/uid_map /proc/self/gid_map; id -u
echo made > /tmp/file; stat -c '%u %g %a' /tmp/file /dev/null; echo x > /dev/null && echo writable
stat -c '%u' /dev; grep -c . /proc/self/mountinfo`;
  await giveRoot(box);
  const linux = { ...MAPS, namespaces: [...NAMESPACES, { type: "user" as const }] };
  const lines = (await said(box, "u", script, { linux })).split("\n");
  assert.deepEqual(lines.slice(0, 2).map((line) => line.trim().split(/\s+/).map(Number)), [
    [0, 100_000, 1000],
    [0, 200_000, 1000],
  ]);
  assert.deepEqual(lines.slice(2, 7), ["0", "0 0 644", "65534 65534 666", "writable", "0"]);
  const made = Deno.statSync(`${box.rootfs}/tmp/file`);
  assert.deepEqual([made.uid, made.gid], [100_000, 200_000]);
});

test("a user namespace's container has its limits, its user, hooks and exec", async (box) => {
  await giveRoot(box);
  const process = {
    user: { uid: 5, gid: 6, additionalGids: [7] },
    oomScoreAdj: 500,
    rlimits: [{ type: "RLIMIT_NOFILE", soft: 100, hard: 200 }],
  };
  const script = "id -u; id -g; id -G; cat /proc/self/oom_score_adj; ulimit -n; exec sleep 100";
  const linux = { ...MAPS, namespaces: [...NAMESPACES, { type: "user" as const }] };
  const creation = await launchBundle(box, "v", script, { linux, process });
  const inside = await box.ok([
    "exec",
    "-u",
    "8",
    "v",
    "/bin/sh",
    "-c",
    "id -u; cat /proc/self/uid_map",
  ]);
  assert.match(inside, /^8\n\s+0\s+100000\s+1000$/);
  await box.ok(["kill", "v", "KILL"]);
  assert.equal(await outcome(box, "v", creation), "5\n6\n6 7\n500\n100");
});

test("namespaces of another container are joined by their paths", async (box) => {
  const user = {
    ...MAPS,
    namespaces: [...NAMESPACES, { type: "user" as const }, { type: "time" as const }],
  };
  for (const [id, linux] of [["plain", { namespaces: NAMESPACES }], ["user", user]] as const) {
    if (id === "user") await giveRoot(box);
    await launchBundle(box, id, "exec sleep 100", { linux });
    const { pid } = await box.state(id);
    const types = linux.namespaces.filter(({ type }) => type !== "mount").map(({ type }) => type);
    const file = (type: string) => `/proc/${pid}/ns/${type === "network" ? "net" : type}`;
    const namespaces = [
      { type: "mount" as const },
      ...types.map((type) => ({ type, path: file(type) })),
    ];
    const script = types.map((type) =>
      `readlink /proc/self/ns/${type === "network" ? "net" : type}`
    ).join("; ");
    const output = await said(box, `${id}2`, `${script}; hostname; ls /proc | grep -c '^[0-9]'`, {
      linux: { namespaces },
      spec: { hostname: undefined },
    });
    const lines = output.split("\n");
    assert.deepEqual(
      lines.slice(0, types.length),
      types.map((type) => Deno.readLinkSync(file(type))),
    );
    assert.equal(lines[types.length], "engine");
    assert(Number(lines[types.length + 1]) >= 2, "the other's processes are seen");
    reapOrphans();
    await box.ok(["delete", "--force", id]);
  }
});

test("a time namespace has its offsets", async (box) => {
  const linux = {
    namespaces: [...NAMESPACES, { type: "time" as const }],
    timeOffsets: { boottime: { secs: 1_000_000 }, monotonic: { secs: 5, nanosecs: 7 } },
  };
  const [uptime, offsets] = (await said(
    box,
    "t",
    "cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets | tr '\\n' ' '",
    { linux },
  )).split("\n");
  const outside = Number(Deno.readTextFileSync("/proc/uptime").split(".")[0]);
  assert(Math.abs(Number(uptime) - outside - 1_000_000) < 60);
  assert.match(offsets!, /monotonic\s+5\s+7\s+boottime\s+1000000\s+0/);
});

test("the scheduler, the I/O priority and the personality are the config's", async (box) => {
  const process = {
    scheduler: { policy: "SCHED_BATCH" as const, nice: 5 },
    ioPriority: { class: "IOPRIO_CLASS_IDLE" as const },
  };
  const linux = { personality: { domain: "LINUX32" as const } };
  const script = "cut -d' ' -f19,41 /proc/self/stat; ionice; uname -m";
  const [scheduled, io, machine] = (await said(box, "s", script, { process, linux })).split("\n");
  assert.equal(scheduled, "5 3", "nice, and SCHED_BATCH");
  assert.match(io!, /^idle/);
  assert.equal(machine, Deno.build.arch === "x86_64" ? "i686" : "armv8l");
});

test("exec runs on the processors of process.execCPUAffinity", async (box) => {
  const creation = await launchBundle(box, "c", "exec sleep 100");
  const file = box.file(
    "process.json",
    JSON.stringify({
      args: ["/bin/grep", "Cpus_allowed_list", "/proc/self/status"],
      cwd: "/",
      user: { uid: 0, gid: 0 },
      execCPUAffinity: { initial: "0-1", final: "0" },
    }),
  );
  assert.match(await box.ok(["exec", "--process", file, "c"]), /^Cpus_allowed_list:\s+0$/);
  await box.ok(["kill", "c", "KILL"]);
  await outcome(box, "c", creation);
});

test("a memory policy is set, where the kernel has them", async (box) => {
  const linux = { memoryPolicy: { mode: "MPOL_BIND" as const, nodes: "0" } };
  const script = "head -n 1 /proc/self/numa_maps | cut -d' ' -f2";
  if (!exists("/proc/self/numa_maps")) {
    const { code, stderr } = await create(box, "n", makeBundle(box, "n", script, { linux }));
    assert.deepEqual([code, stderr.startsWith("crate: set the memory policy MPOL_BIND: ENOSYS")], [
      125,
      true,
    ]);
    return;
  }
  assert.equal(await said(box, "n", script, { linux }), "bind:0");
});

test("a tmpfs with tmpcopyup begins with what the image has there", async (box) => {
  Deno.mkdirSync(`${box.rootfs}/data/below`, { recursive: true });
  Deno.writeTextFileSync(`${box.rootfs}/data/below/file`, "of the image\n");
  Deno.chmodSync(`${box.rootfs}/data`, 0o751);
  const options = ["nosuid", "size=1m", "tmpcopyup"];
  const mounts = [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/data", type: "tmpfs", source: "tmpfs", options },
  ];
  const script =
    "cat /data/below/file; stat -c %a /data; echo changed > /data/below/file; grep -c ' /data ' /proc/self/mountinfo";
  const output = await said(box, "c", script, { spec: { mounts } });
  assert.equal(output, "of the image\n751\n1");
  assert.equal(Deno.readTextFileSync(`${box.rootfs}/data/below/file`), "of the image\n");
});

test("an AppArmor profile is set where the host has AppArmor, and an error where it has none", async (box) => {
  const process = { apparmorProfile: "crate-no-such-profile" };
  const { code, stderr } = await create(box, "a", makeBundle(box, "a", "true", { process }));
  assert.equal(code, 125);
  assert.match(
    stderr,
    /process\.apparmorProfile is "crate-no-such-profile", and this host has no AppArmor|set the AppArmor profile crate-no-such-profile: ENOENT/,
  );
});

test("SELinux labels are an error where the host has no SELinux, of a config and of exec", async (box) => {
  if (exists("/sys/fs/selinux/enforce")) return;
  const label = "system_u:system_r:container_t:s0";
  for (
    const [changes, field] of [
      [{ process: { selinuxLabel: label } }, "process.selinuxLabel"],
      [{ linux: { mountLabel: label } }, "linux.mountLabel"],
    ] as const
  ) {
    const { code, stderr } = await create(box, "s", makeBundle(box, "s", "true", changes));
    const said = `crate: ${field} is "${label}", and this host has no SELinux\n`;
    assert.deepEqual([code, stderr], [125, said]);
  }
  const empty = { process: { selinuxLabel: "" }, linux: { mountLabel: "" } };
  const creation = await launchBundle(box, "s", "exec sleep 100", empty);
  const exec = await box.crate(["exec", "--process-label", label, "s", "/bin/true"]);
  assert.deepEqual([exec.code, exec.stderr], [
    125,
    `crate: process.selinuxLabel is "${label}", and this host has no SELinux\n`,
  ]);
  await box.ok(["kill", "s", "KILL"]);
  await outcome(box, "s", creation);
});

test("Intel RDT is an error where no resctrl is mounted, and nothing is left of the container", async (box) => {
  if (exists("/sys/fs/resctrl/schemata")) return;
  const linux = { intelRdt: { closID: "x", l3CacheSchema: "L3:0=f" } };
  const { code, stderr } = await create(box, "r", makeBundle(box, "r", "true", { linux }));
  assert.deepEqual([code, stderr], [
    125,
    "crate: linux.intelRdt needs resctrl, and this host has none mounted on /sys/fs/resctrl\n",
  ]);
});

test("without a cgroup namespace a container sees its own groups only", async (box) => {
  const mounts = [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid"] },
  ];
  if (exists("/sys/fs/cgroup/cgroup.controllers")) return;
  const linux = { resources: { pids: { limit: 17 } } };
  const script =
    "cat /sys/fs/cgroup/pids/pids.max; ls -d /sys/fs/cgroup/pids/*/ 2>/dev/null | wc -l; touch /sys/fs/cgroup/pids/x 2>/dev/null || echo read-only";
  assert.equal(await said(box, "g", script, { spec: { mounts }, linux }), "17\n0\nread-only");
});

test("an id-mapped mount shows its files with other owners, with and without a user namespace", async (box) => {
  const data = box.mkdir("data");
  Deno.writeTextFileSync(`${data}/file`, "x");
  Deno.chownSync(`${data}/file`, 1000, 2000);
  const mount = (more: object) => [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/dev", type: "tmpfs", source: "tmpfs" },
    { destination: "/data", type: "bind", source: data, options: ["rbind"], ...more },
  ];
  const maps = (uid: number, gid: number) => ({
    uidMappings: [{ containerID: 1000, hostID: uid, size: 10 }],
    gidMappings: [{ containerID: 2000, hostID: gid, size: 10 }],
  });
  Deno.chownSync(data, 1000, 2000);
  const show = "stat -c '%u %g' /data/file; echo y > /data/made; stat -c '%u %g' /data/made";
  const spec = { mounts: mount({ ...maps(0, 5) }) };
  const process = { user: { uid: 0, gid: 5 } };
  const { stdout: filesystem } = await new Running(["stat", "-f", "-c", "%T", data]).ended;
  if (!filesystem.startsWith("ext")) {
    // Overlays have none, and a tmpfs not in every kernel.
    const { code, stderr } = await create(box, "i", makeBundle(box, "i", show, { spec, process }));
    if (code === 0) await box.ok(["delete", "i"]);
    else {
      const said = `map the ids of ${data} on /data: its filesystem has no id-mapped mounts`;
      assert.deepEqual([code, stderr], [125, `crate: ${said}\n`]);
      return;
    }
  }
  assert.equal(await said(box, "i", show, { spec, process }), "0 5\n0 5");
  const made = Deno.statSync(`${data}/made`);
  assert.deepEqual([made.uid, made.gid], [1000, 2000]);
  const user = { ...MAPS, namespaces: [...NAMESPACES, { type: "user" as const }] };
  await giveRoot(box);
  const inside = { mounts: mount({ ...maps(100_007, 200_008), options: ["bind", "idmap"] }) };
  assert.equal(
    await said(box, "j", "stat -c '%u %g' /data/file", { spec: inside, linux: user }),
    "7 8",
  );
  const none = { mounts: mount({ options: ["rbind", "ridmap"] }) };
  const { code, stderr } = await create(box, "n", makeBundle(box, "n", "true", { spec: none }));
  assert.deepEqual([code, stderr], [
    125,
    "crate: mounts[2] is to be id-mapped: it needs uidMappings and gidMappings, of its own or of linux\n",
  ]);
});
