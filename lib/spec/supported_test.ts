import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import { requireSupported } from "./supported.ts";
import { FULL_SPEC } from "./testing.ts";
import type { Linux, Mount, Spec } from "./types.ts";
import { validateSpec } from "./validate.ts";

/** What this version does, all of it. */
const DONE = {
  ...FULL_SPEC,
  process: {
    terminal: true,
    consoleSize: FULL_SPEC.process.consoleSize,
    user: FULL_SPEC.process.user,
    args: ["/bin/true"],
    env: ["A=b"],
    cwd: "/",
    capabilities: FULL_SPEC.process.capabilities,
    rlimits: FULL_SPEC.process.rlimits,
    noNewPrivileges: true,
    oomScoreAdj: 0,
    apparmorProfile: "x",
    selinuxLabel: "system_u:system_r:container_t:s0",
    scheduler: FULL_SPEC.process.scheduler,
    ioPriority: FULL_SPEC.process.ioPriority,
    execCPUAffinity: { initial: "0" },
  },
  mounts: [
    {
      destination: "/a",
      type: "bind",
      source: "/a",
      options: ["rbind", "rro", "rslave", "nodev", "rnoatime"],
    },
    { destination: "/b", type: "tmpfs", options: ["size=1m", "noatime", "sync", "tmpcopyup"] },
    { destination: "/b", options: ["remount", "ro", "size=2m"] },
    { destination: "/b", options: ["remount", "bind", "rnosuid"] },
    { destination: "/l", type: "bind", source: "/l", options: ["copy-symlink", "src-nofollow"] },
    { destination: "/l", type: "bind", source: "/l", options: ["dest-nofollow", "silent", "loud"] },
    {
      destination: "/l",
      type: "bind",
      source: "/l",
      options: ["idmap=uids=0-1-2#9-8-7;gids=@0-1-2"],
    },
    ...["proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"].map((type) => ({
      destination: "/c",
      type,
      options: ["nosuid", "strictatime", "newinstance"],
    })),
    { destination: "/d", type: "overlay", options: ["lowerdir=/x", "volatile"] },
  ],
  hooks: FULL_SPEC.hooks,
  linux: {
    namespaces: [
      { type: "pid" },
      { type: "mount" },
      { type: "cgroup" },
      { type: "network", path: "/ns/net" },
      { type: "ipc", path: "/ns/ipc" },
      { type: "uts", path: "/ns/uts" },
      { type: "user" },
      { type: "time" },
    ],
    devices: FULL_SPEC.linux.devices,
    cgroupsPath: "/crate/x",
    resources: {
      devices: [{ allow: false }],
      memory: FULL_SPEC.linux.resources.memory,
      cpu: FULL_SPEC.linux.resources.cpu,
      pids: { limit: 5 },
      blockIO: FULL_SPEC.linux.resources.blockIO,
      hugepageLimits: FULL_SPEC.linux.resources.hugepageLimits,
      unified: { "memory.high": "1" },
      rdma: FULL_SPEC.linux.resources.rdma,
      network: FULL_SPEC.linux.resources.network,
    },
    rootfsPropagation: "slave",
    seccomp: FULL_SPEC.linux.seccomp,
    sysctl: FULL_SPEC.linux.sysctl,
    maskedPaths: ["/proc/kcore"],
    readonlyPaths: ["/proc/sys"],
    uidMappings: FULL_SPEC.linux.uidMappings,
    gidMappings: FULL_SPEC.linux.gidMappings,
    timeOffsets: FULL_SPEC.linux.timeOffsets,
    memoryPolicy: FULL_SPEC.linux.memoryPolicy,
    personality: { domain: "LINUX32" },
    netDevices: FULL_SPEC.linux.netDevices,
    intelRdt: FULL_SPEC.linux.intelRdt,
    mountLabel: "system_u:object_r:container_file_t:s0",
  },
} as const satisfies Spec;

Deno.test("what this version does, and fields that say nothing, are let through", () => {
  requireSupported(validateSpec(DONE));
});

const linux = (fields: Partial<Linux>): Spec => ({ ...DONE, linux: { ...DONE.linux, ...fields } });
const mount = (fields: Partial<Mount>): Spec => ({
  ...DONE,
  mounts: [{ destination: "/a", type: "tmpfs", ...fields }],
});
const map = [{ containerID: 0, hostID: 0, size: 1 }];

const NOT_YET: [spec: Spec, message: string][] = [
  [{ ...DONE, process: undefined }, "process is missing"],
  [mount({ type: "ext4" }), 'mounts[0].type "ext4" is not supported yet'],
  [mount({ uidMappings: map }), "mounts[0].uidMappings is not supported yet"],
  [mount({ gidMappings: map }), "mounts[0].gidMappings is not supported yet"],
  [mount({ options: ["idmap"] }), 'mounts[0].options "idmap" is not supported yet: a tmpfs'],
  [mount({ options: ["ridmap=x"] }), 'mounts[0].options "ridmap=x" is not supported yet: a tmpfs'],
  [
    mount({ options: ["iversion"] }),
    'mounts[0].options "iversion" is not supported yet: no filesystem',
  ],
  [
    mount({ options: ["src-nofollow"] }),
    'mounts[0].options "src-nofollow" is not supported yet: it is for a bind mount',
  ],
  [
    mount({ options: ["remount", "dest-nofollow"] }),
    'mounts[0].options "dest-nofollow" is not supported yet: it is for a bind mount',
  ],
  [
    mount({ options: ["remount", "tmpcopyup"] }),
    'mounts[0].options "tmpcopyup" is not supported yet: what is mounted already',
  ],
  [
    mount({ type: "bind", source: "/a", options: ["remount", "idmap"] }),
    'mounts[0].options "idmap" is not supported yet: a mount has the ids',
  ],
  [
    mount({ type: "bind", source: "/a", options: ["iversion"] }),
    'mounts[0].options "iversion" is not supported yet: a bind has no filesystem',
  ],
  [
    mount({ type: "bind", source: "/a", options: ["size=1m"] }),
    'mounts[0].options "size=1m" is not supported yet: a bind has no filesystem to hand it to',
  ],
  [
    mount({ type: "bind", source: "/a", options: ["sync"] }),
    'mounts[0].options "sync" is not supported yet: a bind has no filesystem to hand it to',
  ],
  [
    mount({ type: "proc", options: ["tmpcopyup"] }),
    'mounts[0].options "tmpcopyup" is not supported yet',
  ],
  [
    linux({ namespaces: [{ type: "mount", path: "/ns/mnt" }] }),
    "linux.namespaces[0].path joins a mount namespace: the container's root would become that of all",
  ],
  [
    linux({ namespaces: [{ type: "pid" }] }),
    "linux.namespaces has no \"mount\": the container's root would become the host's own",
  ],
  [
    { ...DONE, linux: undefined },
    "linux.namespaces has no \"mount\": the container's root would become the host's own",
  ],
  [
    linux({ seccomp: { defaultAction: "SCMP_ACT_NOTIFY", listenerPath: "/x" } }),
    "linux.seccomp with SCMP_ACT_NOTIFY for sendmsg is not supported yet",
  ],
  [
    linux({
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        listenerPath: "/x",
        syscalls: [{ names: ["read", "sendmsg"], action: "SCMP_ACT_NOTIFY" }],
      },
    }),
    "linux.seccomp.syscalls[0] with SCMP_ACT_NOTIFY for sendmsg is not supported yet",
  ],
];

Deno.test("what this version does not do is refused by the field's name", async (test) => {
  for (const [spec, message] of NOT_YET) {
    await test.step(message, () => {
      assert.throws(() => requireSupported(spec), (error: unknown) => {
        assert(error instanceof CrateError && error.code === "UNSUPPORTED", String(error));
        assert(error.message.startsWith(message), error.message);
        return true;
      });
    });
  }
});

Deno.test("a call that somebody is to answer needs somebody", () => {
  const seccomp = {
    defaultAction: "SCMP_ACT_ALLOW" as const,
    syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" as const }],
  };
  assert.throws(() => requireSupported(linux({ seccomp })), {
    code: "INVALID",
    message:
      "linux.seccomp.syscalls[0] has SCMP_ACT_NOTIFY, which needs linux.seccomp.listenerPath: who is to answer",
  });
});
