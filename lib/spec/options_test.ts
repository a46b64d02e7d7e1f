import assert from "node:assert/strict";
import fc from "fast-check";
import { formatSpec } from "./json.ts";
import { parseSpec } from "./read.ts";
import { type RunDefaults, type RunOptions, specFromOptions } from "./options.ts";
import { requireSupported } from "./supported.ts";
import { loadRuntimeSchema } from "./testing.ts";
import type { LinuxSeccomp } from "./types.ts";
import { validateSpec } from "./validate.ts";

const FILTER: LinuxSeccomp = { defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1 };
const DEFAULTS: RunDefaults = {
  capabilities: ["CAP_CHOWN", "CAP_KILL", "CAP_MKNOD"],
  allCapabilities: ["CAP_CHOWN", "CAP_KILL", "CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_NET_ADMIN"],
  seccomp: (capabilities) => ({ ...FILTER, defaultErrnoRet: capabilities.length }),
  hostDevices: [
    { path: "/dev/sda", type: "b", major: 8, minor: 0 },
    { path: "/dev/kvm", type: "c", major: 10, minor: 232 },
  ],
};
const LEAST: RunOptions = { args: ["/bin/sh"], rootfs: "/srv/root" };

const specOf = (options: Partial<RunOptions>, defaults = DEFAULTS) =>
  specFromOptions({ ...LEAST, ...options }, defaults);
const bounding = (options: Partial<RunOptions>) => specOf(options).process?.capabilities?.bounding;
const mountAt = (options: Partial<RunOptions>, destination: string) =>
  specOf(options).mounts?.filter((mount) => mount.destination === destination);

Deno.test("with nothing asked for, the config is docker's default", () => {
  const quiet = ["nosuid", "noexec", "nodev"];
  assert.deepEqual(specOf({}), {
    ociVersion: "1.2.0",
    process: {
      user: { uid: 0, gid: 0 },
      args: ["/bin/sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      cwd: "/",
      capabilities: {
        bounding: DEFAULTS.capabilities,
        effective: DEFAULTS.capabilities,
        permitted: DEFAULTS.capabilities,
        inheritable: [],
        ambient: [],
      },
    },
    root: { path: "/srv/root" },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: quiet },
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
      },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, "ro"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: quiet },
      {
        destination: "/dev/shm",
        type: "tmpfs",
        source: "shm",
        options: [...quiet, "mode=1777", "size=67108864"],
      },
      {
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        source: "cgroup",
        options: [...quiet, "ro"],
      },
    ],
    linux: {
      namespaces: ["mount", "pid", "network", "ipc", "uts", "cgroup"].map((type) => ({ type })),
      resources: {
        devices: [
          { allow: false, access: "rwm" },
          { allow: true, type: "c", access: "m" },
          { allow: true, type: "b", access: "m" },
          { allow: true, type: "c", major: 1, minor: 3, access: "rwm" },
          { allow: true, type: "c", major: 1, minor: 5, access: "rwm" },
          { allow: true, type: "c", major: 1, minor: 7, access: "rwm" },
          { allow: true, type: "c", major: 1, minor: 8, access: "rwm" },
          { allow: true, type: "c", major: 1, minor: 9, access: "rwm" },
          { allow: true, type: "c", major: 5, minor: 0, access: "rwm" },
          { allow: true, type: "c", major: 5, minor: 2, access: "rwm" },
          { allow: true, type: "c", major: 136, access: "rwm" },
        ],
      },
      seccomp: { defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 3 },
      maskedPaths: [
        "/proc/acpi",
        "/proc/asound",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/sys/devices/virtual/powercap",
        "/sys/firmware",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  });
});

Deno.test("a terminal brings TERM and its size; a later variable replaces an earlier one", () => {
  const { process } = specOf({
    tty: true,
    consoleSize: { height: 24, width: 80 },
    hostname: "box",
    env: ["A=1", "PATH=/bin", "A=2=3"],
  });
  assert.deepEqual(process?.env, ["PATH=/bin", "HOSTNAME=box", "TERM=xterm", "A=2=3"]);
  assert.equal(process?.terminal, true);
  assert.deepEqual(process?.consoleSize, { height: 24, width: 80 });
});

Deno.test("capabilities are added and dropped as docker does it", () => {
  assert.deepEqual(bounding({ capAdd: ["CAP_SYS_ADMIN"], capDrop: ["CAP_KILL"] }), [
    "CAP_CHOWN",
    "CAP_MKNOD",
    "CAP_SYS_ADMIN",
  ]);
  assert.deepEqual(bounding({ capDrop: ["ALL"] }), []);
  assert.deepEqual(bounding({ capAdd: ["CAP_KILL"], capDrop: ["ALL"] }), ["CAP_KILL"]);
  assert.deepEqual(bounding({ capAdd: ["ALL"] }), DEFAULTS.allCapabilities);
  assert.deepEqual(bounding({ capAdd: ["ALL"], capDrop: ["CAP_SYS_ADMIN"] }), [
    "CAP_CHOWN",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
  ]);
  assert.deepEqual(bounding({ capAdd: ["CAP_CHOWN"] }), DEFAULTS.capabilities);
});

Deno.test("a user other than root starts with no capabilities but keeps the bounding set", () => {
  const capabilities = specOf({ user: { uid: 1000, gid: 1000 } }).process?.capabilities;
  assert.deepEqual(capabilities, {
    bounding: DEFAULTS.capabilities,
    effective: [],
    permitted: [],
    inheritable: [],
    ambient: [],
  });
});

Deno.test("a privileged container has every capability and device, no masks and no filter", () => {
  const spec = specOf({
    privileged: true,
    devices: [{ device: { path: "/dev/kvm", type: "c", major: 1, minor: 3 } }],
  });
  assert.deepEqual(spec.process?.capabilities?.effective, DEFAULTS.allCapabilities);
  assert.deepEqual(spec.linux?.resources?.devices, [{ allow: true, access: "rwm" }]);
  assert.deepEqual(spec.linux?.devices, [
    { path: "/dev/sda", type: "b", major: 8, minor: 0 },
    { path: "/dev/kvm", type: "c", major: 1, minor: 3 },
  ]);
  assert.deepEqual(spec.linux?.maskedPaths, []);
  assert.deepEqual(spec.linux?.readonlyPaths, []);
  assert.equal(spec.linux?.seccomp, undefined);
  for (const path of ["/sys", "/sys/fs/cgroup"]) {
    assert(!mountAt({ privileged: true }, path)?.[0]?.options?.includes("ro"), path);
    assert(mountAt({}, path)?.[0]?.options?.includes("ro"), path);
  }
});

Deno.test("a filter that was asked for is used, privileged or not, and null is none", () => {
  assert.equal(specOf({ seccomp: null }).linux?.seccomp, undefined);
  assert.equal(specOf({ seccomp: FILTER, privileged: true }).linux?.seccomp, FILTER);
  assert.equal(specOf({}, { ...DEFAULTS, seccomp: () => null }).linux?.seccomp, undefined);
});

Deno.test("a device is made and allowed with the access it was given", () => {
  const device = { path: "/dev/fuse", type: "c", major: 10, minor: 229 } as const;
  const { linux } = specOf({ devices: [{ device, access: "rw" }] });
  assert.deepEqual(linux?.devices, [device]);
  assert.deepEqual(linux?.resources?.devices?.at(-1), {
    allow: true,
    type: "c",
    major: 10,
    minor: 229,
    access: "rw",
  });
});

Deno.test("limits become resources, and what has no limit stays out", () => {
  const resources = specOf({
    memory: 512,
    memoryReservation: 256,
    memorySwap: 1024,
    cpus: 1.5,
    cpuShares: 512,
    cpusetCpus: "0-1",
    cpusetMems: "0",
    pidsLimit: 10,
  }).linux?.resources;
  assert.deepEqual(resources?.memory, { limit: 512, reservation: 256, swap: 1024 });
  assert.deepEqual(resources?.cpu, {
    quota: 150000,
    period: 100000,
    shares: 512,
    cpus: "0-1",
    mems: "0",
  });
  assert.deepEqual(resources?.pids, { limit: 10 });
  assert.deepEqual(specOf({ cpuQuota: 5000 }).linux?.resources?.cpu, { quota: 5000 });
  assert.equal(specOf({ pidsLimit: -1 }).linux?.resources?.pids, undefined);
});

Deno.test("where swap can be limited, memory alone allows as much swap again", () => {
  const swap = (options: Partial<RunOptions>) =>
    specOf(options, { ...DEFAULTS, swapLimit: true }).linux?.resources?.memory?.swap;
  assert.equal(swap({ memory: 512 }), 1024);
  assert.equal(swap({ memory: 512, memorySwap: -1 }), -1);
  assert.equal(swap({}), undefined);
  assert.equal(specOf({ memory: 512 }).linux?.resources?.memory?.swap, undefined);
});

Deno.test("a namespace shared with the host is not made", () => {
  const types = specOf({ network: "host", pid: "host", uts: "host", ipc: "host", cgroupns: "host" })
    .linux?.namespaces;
  assert.deepEqual(types, [{ type: "mount" }]);
});

Deno.test("with the host's IPC, /dev/shm is the host's", () => {
  assert.deepEqual(mountAt({ ipc: "host" }, "/dev/shm"), [{
    destination: "/dev/shm",
    type: "bind",
    source: "/dev/shm",
    options: ["rbind", "nosuid", "noexec", "nodev", "rprivate"],
  }]);
});

Deno.test("a mount replaces a default one, and comes after the mounts it lies in", () => {
  const bind = (destination: string) => ({
    destination,
    type: "bind",
    source: "/x",
    options: ["rbind", "rprivate"],
  });
  const own = [bind("/a/b/c"), bind("/a"), bind("/dev/shm"), bind("/a/b")];
  const mounts = specOf({ mounts: own }).mounts ?? [];
  assert.deepEqual(mounts.map((mount) => mount.destination), [
    "/proc",
    "/dev",
    "/sys",
    "/a",
    "/dev/pts",
    "/dev/mqueue",
    "/dev/shm",
    "/a/b",
    "/sys/fs/cgroup",
    "/a/b/c",
  ]);
  assert.equal(mounts.find((mount) => mount.destination === "/dev/shm")?.type, "bind");
});

Deno.test("somebody's own /dev comes without the default mounts in it", () => {
  const mounts = [{ destination: "/dev", type: "bind", source: "/dev", options: ["rbind"] }];
  assert.deepEqual(
    specOf({ mounts }).mounts?.map((mount) => mount.destination),
    ["/proc", "/sys", "/dev", "/sys/fs/cgroup"],
  );
});

Deno.test("a mount that propagates gets a root that does", () => {
  const root = (option: string) =>
    specOf({
      mounts: [{ destination: "/a", type: "bind", source: "/a", options: ["rbind", option] }],
    })
      .linux?.rootfsPropagation;
  assert.equal(root("rprivate"), undefined);
  assert.equal(root("rslave"), "slave");
  assert.equal(root("shared"), "shared");
});

Deno.test("options that contradict each other are refused", () => {
  const mount = { destination: "/a", type: "tmpfs" };
  const contradictions: [options: Partial<RunOptions>, message: string][] = [
    [{ cpus: 1, cpuPeriod: 1000 }, "--cpus and --cpu-quota or --cpu-period say the same thing"],
    [{ uts: "host", hostname: "a" }, "--hostname needs a host name of the container's own"],
    [{ uts: "host", domainname: "a" }, "--hostname needs a host name of the container's own"],
    [{ ipc: "host", shmSize: 1 }, "--shm-size needs a /dev/shm of the container's own"],
    [{ mounts: [mount, mount] }, "/a is mounted twice"],
  ];
  for (const [options, message] of contradictions) {
    assert.throws(() => specOf(options), (error: Error) => error.message.startsWith(message));
  }
});

// What the words' parsers can give, at random.
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/);
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join("/")}`);
const capability = fc.constantFrom("ALL", ...DEFAULTS.allCapabilities);
const id = fc.integer({ min: 0, max: 0xffff_fffe });
const device = fc.record({
  path,
  type: fc.constantFrom("c" as const, "b" as const),
  major: fc.integer({ min: 0, max: 4095 }),
  minor: fc.integer({ min: 0, max: 1048575 }),
});
const mounts = fc.uniqueArray(
  fc.oneof(
    fc.record({
      destination: path,
      type: fc.constant("bind"),
      source: path,
      options: fc.subarray(["rbind", "rro", "rslave", "nodev"], { minLength: 1 }),
    }),
    fc.record({
      destination: path,
      type: fc.constant("tmpfs"),
      options: fc.subarray(["nosuid", "size=64m", "mode=1777"]),
    }),
  ),
  { maxLength: 5, selector: (mount) => mount.destination },
);
const limit = fc.oneof(fc.nat(), fc.constant(2n ** 64n - 1n));
const share = fc.constantFrom("private" as const, "host" as const);
const options: fc.Arbitrary<RunOptions> = fc.record({
  args: fc.array(name, { minLength: 1, maxLength: 5 }),
  rootfs: path,
  rootReadonly: fc.boolean(),
  env: fc.array(
    fc.tuple(name, fc.string().map((text) => text.replaceAll("\0", ""))).map((pair) =>
      pair.join("=")
    ),
  ),
  cwd: path,
  hostname: name,
  user: fc.record({ uid: id, gid: id, additionalGids: fc.array(id, { maxLength: 4 }) }),
  tty: fc.boolean(),
  consoleSize: fc.record({ height: fc.integer({ min: 0, max: 0xffff }), width: fc.nat(0xffff) }),
  mounts,
  capAdd: fc.array(capability, { maxLength: 3 }),
  capDrop: fc.array(capability, { maxLength: 3 }),
  privileged: fc.boolean(),
  noNewPrivileges: fc.boolean(),
  seccomp: fc.constantFrom(null, FILTER),
  ulimits: fc.tuple(limit, limit).map(([a, b]) => [{
    type: "RLIMIT_NOFILE",
    soft: a < b ? a : b,
    hard: a < b ? b : a,
  }]),
  devices: fc.array(
    fc.record({ device, access: fc.constantFrom("r", "rw", "rwm") }),
    { maxLength: 3 },
  ),
  memory: fc.integer({ min: 1, max: 2 ** 50 }),
  memoryReservation: fc.integer({ min: 1, max: 2 ** 50 }),
  cpus: fc.integer({ min: 1, max: 10000 }).map((n) => n / 100),
  cpuShares: fc.integer({ min: 2, max: 262144 }),
  cpusetCpus: fc.constantFrom("0", "0-1", "0,1"),
  pidsLimit: fc.integer({ min: -1, max: 2 ** 22 }),
  oomScoreAdj: fc.integer({ min: -1000, max: 1000 }),
  network: fc.constantFrom("none" as const, "host" as const),
  pid: share,
  ipc: share,
  cgroupns: share,
  labels: fc.dictionary(name, fc.constant("value"), { maxKeys: 3 }),
  cgroupsPath: path,
}, { requiredKeys: ["args", "rootfs"] }).map((options) => structuredClone(options));

Deno.test("whatever is asked for, the config is valid, by the schema and by us, and supported", () => {
  const schema = loadRuntimeSchema();
  fc.assert(
    fc.property(options, fc.boolean(), (options, swapLimit) => {
      const spec = specFromOptions(options, { ...DEFAULTS, swapLimit });
      // The schema's reader knows no bigints.
      const plain = JSON.parse(formatSpec(spec));
      assert(schema.validate(plain), JSON.stringify(schema.validate.errors));
      assert.equal(validateSpec(spec), spec);
      assert.deepEqual(parseSpec(formatSpec(spec), "config.json"), spec);
      requireSupported(spec);
      assert.deepEqual(specFromOptions(options, { ...DEFAULTS, swapLimit }), spec);
    }),
    { numRuns: 500 },
  );
});
