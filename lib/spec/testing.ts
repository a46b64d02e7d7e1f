/**
 * What the room's tests share: a config with every field that the spec knows for Linux, and the
 * runtime-spec's own JSON schema. Not part of the product.
 *
 * @module
 */
import { Ajv, type ValidateFunction } from "ajv";
import type { Spec } from "./types.ts";

/** A valid config in which every field has a value. */
export const FULL_SPEC = {
  ociVersion: "1.3.0",
  process: {
    terminal: true,
    consoleSize: { height: 24, width: 80 },
    user: { uid: 1000, gid: 1000, umask: 0o022, additionalGids: [5, 4294967294], username: "me" },
    args: ["/bin/sh", "-c", "true"],
    env: ["PATH=/bin", "EMPTY="],
    cwd: "/srv",
    capabilities: {
      bounding: ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"],
      effective: ["CAP_CHOWN"],
      inheritable: [],
      permitted: ["CAP_CHOWN"],
      ambient: ["CAP_CHOWN"],
    },
    rlimits: [
      { type: "RLIMIT_NOFILE", soft: 1024, hard: 4096 },
      { type: "RLIMIT_CORE", soft: 0, hard: 0 },
    ],
    noNewPrivileges: true,
    apparmorProfile: "unconfined",
    oomScoreAdj: -500,
    scheduler: {
      policy: "SCHED_DEADLINE",
      nice: 5,
      priority: 1,
      flags: ["SCHED_FLAG_RESET_ON_FORK"],
      runtime: 1000,
      deadline: 2000,
      period: 3000,
    },
    selinuxLabel: "system_u:system_r:container_t:s0",
    ioPriority: { class: "IOPRIO_CLASS_BE", priority: 4 },
    execCPUAffinity: { initial: "0-3,7", final: "0" },
  },
  root: { path: "rootfs", readonly: true },
  hostname: "box",
  domainname: "example.org",
  mounts: [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid"] },
    {
      destination: "data",
      type: "bind",
      source: "/srv/data",
      options: ["rbind", "ro"],
      uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
    },
  ],
  hooks: {
    prestart: [{ path: "/bin/a", args: ["a"], env: ["X=1"], timeout: 5 }],
    createRuntime: [{ path: "/bin/a", args: ["a"], env: ["X=1"], timeout: 5 }],
    createContainer: [{ path: "/bin/a", args: ["a"], env: ["X=1"], timeout: 5 }],
    startContainer: [{ path: "/bin/a", args: ["a"], env: ["X=1"], timeout: 5 }],
    poststart: [{ path: "/bin/a", args: ["a"], env: ["X=1"], timeout: 5 }],
    poststop: [{ path: "/bin/a", args: ["a"], env: ["X=1"], timeout: 5 }],
  },
  annotations: { "org.example.key": "value" },
  linux: {
    uidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
    gidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
    sysctl: { "net.core.somaxconn": "1024", "kernel.shmmax": "1" },
    resources: {
      devices: [{ allow: false, type: "a", major: -1, minor: 3, access: "rwm" }],
      memory: {
        limit: 536870912,
        reservation: 268435456,
        swap: 1073741824,
        kernel: -1,
        kernelTCP: -1,
        swappiness: 60,
        disableOOMKiller: false,
        useHierarchy: true,
        checkBeforeUpdate: false,
      },
      cpu: {
        shares: 1024,
        quota: 150000,
        burst: 1000,
        period: 100000,
        realtimeRuntime: 950000,
        realtimePeriod: 1000000,
        cpus: "0-1",
        mems: "0",
        idle: 0,
      },
      pids: { limit: 100 },
      blockIO: {
        weight: 500,
        leafWeight: 0,
        weightDevice: [{ major: 8, minor: 0, weight: 500, leafWeight: 300 }],
        throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 }],
        throttleWriteBpsDevice: [{ major: 8, minor: 0, rate: 1 }],
        throttleReadIOPSDevice: [{ major: 8, minor: 0, rate: 1 }],
        throttleWriteIOPSDevice: [{ major: 8, minor: 0, rate: 1 }],
      },
      hugepageLimits: [{ pageSize: "2MB", limit: 0 }],
      network: { classID: 1048577, priorities: [{ name: "eth0", priority: 5 }] },
      rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10000 } },
      unified: { "memory.high": "1073741824" },
    },
    cgroupsPath: "/crate/box",
    namespaces: [
      { type: "pid" },
      { type: "network", path: "/proc/1/ns/net" },
      { type: "mount" },
      { type: "ipc" },
      { type: "uts" },
      { type: "user" },
      { type: "cgroup" },
      { type: "time" },
    ],
    devices: [
      { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 438, uid: 0, gid: 0 },
      { path: "/dev/pipe", type: "p" },
    ],
    netDevices: { eth0: { name: "inside0" } },
    seccomp: {
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 1,
      architectures: ["SCMP_ARCH_X86_64"],
      flags: ["SECCOMP_FILTER_FLAG_LOG"],
      listenerPath: "/run/listener",
      listenerMetadata: "opaque",
      syscalls: [{
        names: ["read", "write"],
        action: "SCMP_ACT_ERRNO",
        errnoRet: 13,
        args: [{ index: 0, value: 1, valueTwo: 2, op: "SCMP_CMP_MASKED_EQ" }],
      }],
    },
    rootfsPropagation: "slave",
    maskedPaths: ["/proc/kcore"],
    readonlyPaths: ["/proc/sys"],
    mountLabel: "system_u:object_r:container_file_t:s0",
    intelRdt: {
      closID: "guaranteed",
      schemata: ["L3:0=f"],
      l3CacheSchema: "L3:0=ffff0",
      memBwSchema: "MB:0=20",
      enableMonitoring: true,
      enableCMT: false,
      enableMBM: false,
    },
    memoryPolicy: { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] },
    personality: { domain: "LINUX", flags: ["ADDR_NO_RANDOMIZE"] },
    timeOffsets: { monotonic: { secs: -1, nanosecs: 5 }, boottime: { secs: 7, nanosecs: 0 } },
  },
} as const satisfies Spec;

const { timeOffsets: _, ...OLDER_LINUX } = FULL_SPEC.linux;
const OLDER_SPEC: Spec = {
  ...FULL_SPEC,
  linux: {
    ...OLDER_LINUX,
    namespaces: OLDER_LINUX.namespaces.filter(({ type }) => type !== "time"),
  },
};

/** The least that is a config. */
export const LEAST_SPEC = {
  ociVersion: "1.2.0",
  root: { path: "rootfs" },
  process: { args: ["/bin/true"], cwd: "/" },
} as const satisfies Spec;

/** Where the runtime-spec's schema stands: beside the checkout, or Debian's package. */
const SCHEMAS = [
  new URL("../../../shared/data/runtime-spec-schema/", import.meta.url).pathname,
  "/usr/share/gocode/src/github.com/opencontainers/runtime-spec/schema/",
];

/** A parsed JSON schema. */
export type Schema = { [key: string]: unknown };

/** The runtime-spec's JSON schema, by file name. */
export interface RuntimeSchema {
  readonly directory: string;
  /** {@linkcode FULL_SPEC}, less what a schema older than 1.1 refuses: time namespaces. */
  readonly fullSpec: Spec;
  readonly files: ReadonlyMap<string, Schema>;
  readonly validate: ValidateFunction;
  /** Of what `features` prints, features.md; absent from a schema older than 1.2. */
  readonly validateFeatures: ValidateFunction | undefined;
}

/**
 * Loads the schema of a whole config. Its files refer to each other by relative name and have no
 * ids: each gets one from its name.
 *
 * @throws {Error} when it stands in none of the known places.
 */
export function loadRuntimeSchema(): RuntimeSchema {
  const directory = SCHEMAS.find((path) => exists(`${path}config-schema.json`));
  if (directory === undefined) {
    throw new Error(
      `no runtime-spec schema in ${SCHEMAS.join(" or ")}: ` +
        "apt-get install golang-github-opencontainers-specs-dev",
    );
  }
  const ajv = new Ajv({ strict: false });
  const files = new Map<string, Schema>();
  for (const { name } of Deno.readDirSync(directory)) {
    if (!/^(?:config|defs|features)-?[a-z]*\.json$/.test(name)) continue;
    // Draft 4 is named, and nothing of it is used that later drafts read in another way.
    const { $schema: _, ...schema } = JSON.parse(Deno.readTextFileSync(directory + name));
    files.set(name, schema);
    ajv.addSchema(schema, `runtime-spec:/${name}`);
  }
  const validate = ajv.getSchema("runtime-spec:/config-schema.json");
  if (validate === undefined) throw new Error(`${directory} has no config-schema.json`);
  const validateFeatures = ajv.getSchema("runtime-spec:/features-schema.json");
  return {
    directory,
    files,
    validate,
    validateFeatures,
    fullSpec: validate(FULL_SPEC) ? FULL_SPEC : OLDER_SPEC,
  };
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
