import assert from "node:assert/strict";
import type { CrateError } from "../errors.ts";
import { FULL_SPEC, LEAST_SPEC } from "./testing.ts";
import { validateSpec } from "./validate.ts";

type Json = Record<string, unknown>;

const process = (fields: Json): Json => ({ process: { ...LEAST_SPEC.process, ...fields } });
const linux = (fields: Json): Json => ({
  linux: { namespaces: [{ type: "mount" }, { type: "network" }, { type: "uts" }], ...fields },
});
const resources = (fields: Json): Json => linux({ resources: fields });
const seccomp = (fields: Json): Json =>
  linux({ seccomp: { defaultAction: "SCMP_ACT_ALLOW", ...fields } });
const rule = (fields: Json): Json =>
  seccomp({ syscalls: [{ names: ["read"], action: "SCMP_ACT_ERRNO", ...fields }] });
const mount = (fields: Json): Json => ({
  ...linux({}),
  mounts: [{ destination: "/data", type: "tmpfs", source: "tmpfs", ...fields }],
});
const rlimit = (...limits: Json[]): Json => process({ rlimits: limits });
const nofile = { type: "RLIMIT_NOFILE", soft: 1, hard: 2 };

/** Changes to the least config, and what is said of each. */
const BAD: [changes: Json, message: string][] = [
  [{ ociVersion: undefined }, 'ociVersion is missing: the runtime-spec\'s version, "1.2.0"'],
  [
    { ociVersion: "2.0.0" },
    'ociVersion must be a version 1 of the runtime-spec, "1.2.0", got "2.0.0"',
  ],
  [{ root: undefined }, 'root is missing: the root filesystem, {"path": "rootfs"}'],
  [{ root: { path: "" } }, 'root.path must name a directory, got ""'],
  [{ root: { path: "a\0b" } }, 'root.path must not contain a NUL character, got "a\\u0000b"'],

  [process({ cwd: "tmp" }), 'process.cwd must be absolute, got "tmp"'],
  [process({ cwd: undefined }), 'process.cwd is missing: the working directory, "/"'],
  [process({ args: [] }), "process.args must name a command, got an empty list"],
  [process({ args: undefined }), "process.args is missing: the command and its arguments"],
  [process({ args: [""] }), 'process.args[0] must name a command, got ""'],
  [process({ args: ["a", 1] }), "process.args[1] must be a string, got 1"],
  [process({ env: ["A=1", "B"] }), 'process.env[1] must be NAME=value, got "B"'],
  [process({ env: ["=1"] }), 'process.env[0] must be NAME=value, got "=1"'],
  [
    process({ terminal: true, consoleSize: { height: 70000, width: 1 } }),
    "process.consoleSize.height must be a whole number from 0 to 65535, got 70000",
  ],
  [
    process({ user: { uid: 4294967295 } }),
    "process.user.uid must be a whole number from 0 to 4294967294, got 4294967295",
  ],
  [
    process({ user: { additionalGids: [0, -1] } }),
    "process.user.additionalGids[1] must be a whole number from 0 to 4294967294, got -1",
  ],
  [
    process({ user: { umask: 0o1000 } }),
    "process.user.umask must be a whole number from 0 to 511, got 512",
  ],
  [
    process({ capabilities: { bounding: ["chown"] } }),
    'process.capabilities.bounding[0] must be a capability\'s name (CAP_CHOWN), got "chown"',
  ],
  [
    rlimit({ ...nofile, type: "RLIMIT_FOO" }),
    "process.rlimits[0].type must be one of RLIMIT_AS, ",
  ],
  [rlimit(nofile, nofile), "process.rlimits[1] sets RLIMIT_NOFILE a second time"],
  [
    rlimit({ ...nofile, soft: 3 }),
    "process.rlimits[0] (RLIMIT_NOFILE) has a soft limit 3 over the hard one 2",
  ],
  [
    rlimit({ ...nofile, hard: 2 ** 64 }),
    "process.rlimits[0].hard must be exact: a bigint where it is over 2^53-1, got",
  ],
  [
    rlimit({ ...nofile, hard: 2n ** 64n }),
    "process.rlimits[0].hard must be a whole number from 0 to 2^64-1, got 18446744073709551616",
  ],
  [
    process({ oomScoreAdj: 1001 }),
    "process.oomScoreAdj must be a whole number from -1000 to 1000, got 1001",
  ],
  [
    process({ scheduler: { policy: "SCHED_FAST" } }),
    "process.scheduler.policy must be one of SCHED_OTHER, ",
  ],
  [
    process({ ioPriority: {} }),
    "process.ioPriority.class must be one of IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE, got",
  ],
  [
    process({ execCPUAffinity: { initial: "3-1" } }),
    'process.execCPUAffinity.initial must be a list like "0-3,7", got "3-1"',
  ],

  [
    { hostname: "box" },
    "hostname needs a uts namespace in linux.namespaces: it would rename the host",
  ],
  [
    { ...linux({}), hostname: "x".repeat(65) },
    'hostname must be at most 64 bytes long, got "xxx',
  ],
  [
    { ...linux({}), domainname: "ü".repeat(33) },
    'domainname must be at most 64 bytes long, got "ü',
  ],
  [{ mounts: [{ destination: "/proc", type: "proc" }] }, "mounts needs a mount namespace in"],
  [mount({ destination: "" }), 'mounts[0].destination must name a directory, got ""'],
  [mount({ destination: undefined }), "mounts[0].destination must be a string, got nothing"],
  [
    mount({ type: "bind", source: undefined }),
    "mounts[0].source must name what to bind, got nothing",
  ],
  [
    mount({ type: "none", source: "", options: ["rbind"] }),
    'mounts[0].source must name what to bind, got ""',
  ],
  [
    mount({ type: undefined }),
    'mounts[0].type must name a filesystem, or options have "bind" or "rbind", got nothing',
  ],
  [
    mount({ uidMappings: [{ containerID: 0, hostID: 0, size: 1 }] }),
    "mounts[0] must have both uidMappings and gidMappings, or neither",
  ],
  [
    { hooks: { poststop: [{ path: "bin/a" }] } },
    'hooks.poststop[0].path must be absolute, got "bin/a"',
  ],
  [
    { hooks: { prestart: [{ path: "/bin/a", timeout: 0 }] } },
    "hooks.prestart[0].timeout must be a whole number, 1 or more, got 0",
  ],
  [{ annotations: { a: 1 } }, 'annotations["a"] must be a string, got 1'],
  [{ annotations: { "": "1" } }, "annotations has an empty name"],

  [
    linux({ namespaces: [{ type: "pid" }, { type: "pid" }] }),
    "linux.namespaces[1] names the pid namespace a second time",
  ],
  [
    linux({ namespaces: [{ type: "net" }] }),
    'linux.namespaces[0].type must be one of pid, network, mount, ipc, uts, user, cgroup, time, got "net"',
  ],
  [
    linux({ namespaces: [{ type: "network", path: "ns" }] }),
    'linux.namespaces[0].path must be absolute, got "ns"',
  ],
  [
    linux({ uidMappings: [{ containerID: 0, hostID: 0, size: 1 }] }),
    "linux.uidMappings needs a user namespace in linux.namespaces",
  ],
  [
    linux({ gidMappings: [{ containerID: 0, hostID: 0, size: 0 }] }),
    "linux.gidMappings[0].size must be a whole number from 1 to 4294967295, got 0",
  ],
  [
    linux({ uidMappings: [{ containerID: 0, hostID: 4294967295, size: 2 }] }),
    "linux.uidMappings[0] ends after 2^32-1: hostID 4294967295, size 2",
  ],
  [
    linux({ sysctl: { "vm.swappiness": "1" } }),
    "linux.sysctl: vm.swappiness belongs to no namespace: setting it would change the whole host",
  ],
  [
    linux({ sysctl: { "fs.mqueue.msg_max": "1" } }),
    "linux.sysctl: fs.mqueue.msg_max needs the ipc namespace in linux.namespaces",
  ],
  [
    linux({ sysctl: { "net/../kernel/core_pattern": "1" } }),
    'linux.sysctl: "net/../kernel/core_pattern" is not a kernel parameter\'s name',
  ],
  [
    { ...linux({ sysctl: { "kernel.hostname": "a" } }), hostname: "b" },
    "linux.sysctl: kernel.hostname and hostname say the same thing: leave one out",
  ],
  [linux({ maskedPaths: ["proc"] }), 'linux.maskedPaths[0] must be absolute, got "proc"'],
  [
    linux({ namespaces: [], readonlyPaths: ["/proc"] }),
    "linux.readonlyPaths needs a mount namespace in linux.namespaces",
  ],
  [
    linux({ devices: [{ path: "dev/x", type: "c", major: 1, minor: 3 }] }),
    'linux.devices[0].path must be absolute, got "dev/x"',
  ],
  [
    linux({ devices: [{ path: "/dev/", type: "c", major: 1, minor: 3 }] }),
    'linux.devices[0].path must name a file, got "/dev/"',
  ],
  [
    linux({ devices: [{ path: "/dev/x", type: "d" }] }),
    'linux.devices[0].type must be one of b, c, u, p, got "d"',
  ],
  [
    linux({ devices: [{ path: "/dev/x", type: "b", minor: 3 }] }),
    "linux.devices[0].major must be a whole number from 0 to 4095, got nothing",
  ],
  [linux({ rootfsPropagation: "public" }), "linux.rootfsPropagation must be one of private, "],
  [
    linux({ netDevices: { "a/b": {} } }),
    'linux.netDevices["a/b"] must name a network device, got "a/b"',
  ],
  [
    linux({ intelRdt: { closID: "../x" } }),
    'linux.intelRdt.closID must be a directory\'s name, got "../x"',
  ],
  [
    linux({ timeOffsets: { monotonic: {} } }),
    "linux.timeOffsets needs a time namespace in linux.namespaces",
  ],

  [resources({ devices: [{}] }), "linux.resources.devices[0].allow is missing: true or false"],
  [
    resources({ devices: [{ allow: true, access: "rx" }] }),
    'linux.resources.devices[0].access must be of the letters of "rwm", got "rx"',
  ],
  [
    resources({ memory: { swap: 1 } }),
    "linux.resources.memory.swap needs linux.resources.memory.limit: it counts both together",
  ],
  [
    resources({ memory: { limit: 2, swap: 1 } }),
    "linux.resources.memory.swap 1 counts memory too: at least 2, the limit",
  ],
  [
    resources({ memory: { limit: 1.5 } }),
    "linux.resources.memory.limit must be a whole number, -1 or more, got 1.5",
  ],
  [
    resources({ cpu: { quota: 999 } }),
    "linux.resources.cpu.quota must be at least 1000 microseconds, got 999",
  ],
  [
    resources({ cpu: { period: 1000001 } }),
    "linux.resources.cpu.period must be from 1000 to 1000000 microseconds, got 1000001",
  ],
  [
    resources({ cpu: { quota: 5000, burst: 5001 } }),
    "linux.resources.cpu.burst 5001 is over the quota 5000",
  ],
  [resources({ cpu: { cpus: "a" } }), 'linux.resources.cpu.cpus must be a list like "0-3,7", got'],
  [resources({ pids: {} }), "linux.resources.pids.limit must be a whole number, -1 or more, got"],
  [
    resources({ blockIO: { weight: 9 } }),
    "linux.resources.blockIO.weight must be a whole number from 10 to 1000, got 9",
  ],
  [
    resources({ hugepageLimits: [{ pageSize: "2M", limit: 0 }] }),
    'linux.resources.hugepageLimits[0].pageSize must be like "2MB", got "2M"',
  ],
  [
    resources({ unified: { "../cgroup.procs": "1" } }),
    'linux.resources.unified: "../cgroup.procs" is not a cgroup file\'s name, "memory.high"',
  ],

  [
    linux({ seccomp: {} }),
    "linux.seccomp.defaultAction must be one of SCMP_ACT_KILL, ",
  ],
  [seccomp({ architectures: ["x86"] }), "linux.seccomp.architectures[0] must be one of SCMP_ARCH"],
  [
    seccomp({ defaultErrnoRet: 1 }),
    "linux.seccomp.defaultErrnoRet goes with SCMP_ACT_ERRNO or SCMP_ACT_TRACE, not with SCMP_ACT_ALLOW",
  ],
  [
    seccomp({ listenerMetadata: "x" }),
    "linux.seccomp.listenerMetadata needs linux.seccomp.listenerPath",
  ],
  [
    rule({ names: [] }),
    "linux.seccomp.syscalls[0].names must name a system call, got an empty list",
  ],
  [rule({ names: ["a", ""] }), "linux.seccomp.syscalls[0].names[1] must name a system call, got"],
  [rule({ action: "ERRNO" }), "linux.seccomp.syscalls[0].action must be one of SCMP_ACT_KILL, "],
  [
    rule({ args: [{ index: 6, value: 0, op: "SCMP_CMP_EQ" }] }),
    "linux.seccomp.syscalls[0].args[0].index must be a whole number from 0 to 5, got 6",
  ],
  [
    rule({ args: [{ index: 0, value: 0, op: "==" }] }),
    "linux.seccomp.syscalls[0].args[0].op must be one of SCMP_CMP_NE, ",
  ],
];

function messageOf(value: unknown, source?: string): string {
  let found = "";
  assert.throws(() => validateSpec(value, source), (error: CrateError) => {
    assert.equal(error.code, "INVALID");
    found = error.message;
    return true;
  });
  return found;
}

Deno.test("a config that is wrong is refused in a sentence that names the field", async (test) => {
  for (const [changes, message] of BAD) {
    await test.step(message, () => {
      const got = messageOf({ ...LEAST_SPEC, ...changes });
      assert(got.startsWith(message), `${got}\nshould start with\n${message}`);
    });
  }
});

Deno.test("an error names the document when it is told its name", () => {
  const bad = { ...LEAST_SPEC, process: { ...LEAST_SPEC.process, cwd: "tmp" } };
  assert.equal(
    messageOf(bad, "b/config.json"),
    'b/config.json: process.cwd must be absolute, got "tmp"',
  );
  assert.equal(messageOf(7, "config.json"), "config.json: the config must be an object, got 7");
  assert.equal(
    messageOf({ ...LEAST_SPEC, ...linux({ namespaces: [{ type: "pid" }, 7] }) }, "config.json"),
    "config.json: linux.namespaces[1] must be an object, got 7",
  );
});

Deno.test("fields that the spec does not know are let be", () => {
  const linux = { namespaces: [{ type: "mount", colour: 1 }], "x-own": [] };
  const spec = { ...LEAST_SPEC, linux, windows: 7, future: { a: null } };
  assert.equal(validateSpec(spec), spec);
});

Deno.test("what engines write for nothing is taken for nothing", () => {
  const empty = {
    ...LEAST_SPEC,
    hostname: "",
    hooks: {},
    mounts: [],
    linux: {
      uidMappings: [],
      maskedPaths: [],
      sysctl: {},
      netDevices: {},
      timeOffsets: {},
      namespaces: [{ type: "ipc", path: "" }],
      resources: {
        cpu: { cpus: "", mems: "", quota: 0, period: 0, shares: 0 },
        blockIO: { weight: 0 },
        memory: { swap: 0 },
      },
    },
  };
  assert.equal(validateSpec(empty), empty);
});

Deno.test("Docker's recursive propagations and device modes with a type are accepted", () => {
  for (const rootfsPropagation of ["rprivate", "rslave", "rshared", "runbindable"]) {
    const devices = [{ path: "/dev/x", type: "c", major: 1, minor: 3, fileMode: 0o20666 }];
    validateSpec({ ...LEAST_SPEC, linux: { rootfsPropagation, devices } });
  }
});

Deno.test("unlimited is 2^64-1, exactly", () => {
  const limits = [{ type: "RLIMIT_CORE", soft: 0, hard: 2n ** 64n - 1n }];
  validateSpec({ ...LEAST_SPEC, ...process({ rlimits: limits }) });
});

Deno.test("validation leaves the value as it was", () => {
  const before = structuredClone(FULL_SPEC);
  validateSpec(FULL_SPEC);
  assert.deepEqual(FULL_SPEC, before);
});
