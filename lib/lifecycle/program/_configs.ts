// What the tests of programs share: configs and hosts of all kinds, as fast-check draws them.
import fc from "fast-check";
import type {
  LinuxDevice,
  LinuxNamespace,
  Mount,
  Process,
  RootfsPropagation,
  Spec,
} from "../../spec/mod.ts";
import { type CompileInput, INIT_ANNOTATION } from "./mod.ts";
import type { MonitorOptions } from "./input.ts";
import { REPORT } from "./protocol.ts";

export const ATTACH_POINT = "/run/crate/.mount";
/** The highest capability of the generated hosts, CAP_CHECKPOINT_RESTORE. */
export const LAST_CAPABILITY = 40;

const some = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const few = <T>(value: fc.Arbitrary<T>, maxLength = 3) => fc.array(value, { maxLength });

const name = fc.oneof(
  fc.stringMatching(/^[a-z0-9_]{1,8}$/),
  fc.constantFrom("..", ".", "with space", "zeilen\numbruch", "日本", "constructor", "-x"),
);
/** A path in the container, as people and programs write them. */
export const containerPath = fc.tuple(fc.array(name, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([names, slash]) => `/${names.join("/")}${slash ? "/" : ""}`);
const mountPoint = containerPath.filter((path) =>
  path.split("/").some((part) => !["", ".", ".."].includes(part)) && !path.includes("..")
);
const hostPath = fc.stringMatching(/^\/srv(\/[a-z]{1,5}){1,3}$/);

const flags = fc.constantFrom(
  ..."ro rw nosuid nodev noexec relatime noatime strictatime nodiratime nosymfollow suid dev exec"
    .split(" "),
);
const propagation = fc.constantFrom(
  ..."private rprivate slave rslave shared rshared unbindable runbindable".split(" "),
);
const mountOptions = fc.tuple(
  few(flags),
  few(flags.map((flag) => `r${flag}`), 2),
  few(propagation, 1),
)
  .map((parts) => parts.flat());

const bind: fc.Arbitrary<Mount> = fc.record({
  destination: fc.oneof(mountPoint, fc.constantFrom("/dev/null", "/dev/tty", "/dev/net")),
  source: hostPath,
  type: fc.constantFrom("bind", "none", ""),
  options: fc.tuple(mountOptions, fc.constantFrom("bind", "rbind")).map((
    [all, one],
  ) => [...all, one]),
});

const filesystem = (destination: fc.Arbitrary<string>, type: string, data: string[]) =>
  fc.record({
    destination,
    type: fc.constant(type),
    source: fc.constant(type),
    options: fc.tuple(mountOptions, fc.subarray(data)).map((parts) => parts.flat()),
  });

const at = (path: string) => fc.constant(path);
const proc = filesystem(at("/proc"), "proc", ["hidepid=1"]);
const dev = filesystem(at("/dev"), "tmpfs", ["mode=755", "size=65536k"]);
const devpts = filesystem(at("/dev/pts"), "devpts", ["newinstance", "ptmxmode=0666", "gid=5"]);
const other = fc.oneof(
  filesystem(at("/sys"), "sysfs", []),
  filesystem(at("/sys/fs/cgroup"), "cgroup", []),
  filesystem(at("/dev/mqueue"), "mqueue", []),
  filesystem(at("/dev/shm"), "tmpfs", ["size=64m"]),
  filesystem(mountPoint, "tmpfs", ["size=1m", "mode=1777", "nr_inodes=10"]),
  bind,
);
const rootOverlay: fc.Arbitrary<Mount> = fc.record({
  destination: fc.constantFrom("/", "/."),
  type: at("overlay"),
  source: at("overlay"),
  options: fc.constantFrom(
    ["lowerdir=/"],
    ["lowerdir=/srv/lower", "upperdir=/srv/upper", "workdir=/srv/work", "nodev"],
  ),
});

/** The usual mounts, or fewer, in the order that a container needs, and others among them. */
const mounts = fc.record({
  root: some(rootOverlay),
  proc: some(proc),
  dev: fc.oneof(
    dev,
    dev,
    fc.record({ destination: at("/dev"), source: at("/dev"), type: at("bind") }),
  ),
  devpts,
  others: few(other, 6),
}).map((parts): Mount[] =>
  [parts.root, parts.proc, parts.dev, parts.devpts, ...parts.others].filter((mount) => !!mount)
);

const CAPABILITIES = "CHOWN SETPCAP NET_RAW SYS_ADMIN MKNOD AUDIT_WRITE BPF CHECKPOINT_RESTORE"
  .split(" ").map((name) => `CAP_${name}`);
const capabilities = fc.record({
  bounding: fc.subarray(CAPABILITIES),
  effective: fc.subarray(CAPABILITIES),
  inheritable: fc.subarray(CAPABILITIES),
  permitted: fc.subarray(CAPABILITIES),
  ambient: fc.subarray(CAPABILITIES),
}, { requiredKeys: [] });

const id = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 32 - 2 }));
const limit = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

/** A process of any kind. */
export const processes: fc.Arbitrary<Process> = fc.record({
  terminal: some(fc.boolean()),
  consoleSize: some(fc.record({ height: fc.nat(0xffff), width: fc.nat(0xffff) })),
  user: some(fc.record({
    uid: id,
    gid: id,
    umask: fc.nat(0o777),
    additionalGids: few(id, 5),
  }, { requiredKeys: [] })),
  args: fc.tuple(
    fc.constantFrom("sh", "/bin/sh", "./x", "naïve", "a\nb"),
    few(fc.string({ unit: "grapheme-ascii" })),
  ).map(([command, rest]) => [command, ...rest]),
  env: some(few(fc.constantFrom("PATH=/bin:/usr/bin", "PATH=", "PATH=:/x", "A=b", "HOME=/"))),
  cwd: containerPath,
  capabilities: some(capabilities),
  rlimits: some(fc.uniqueArray(
    fc.record({
      type: fc.constantFrom("RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_NPROC"),
      soft: limit,
      hard: limit,
    }),
    { selector: ({ type }) => type },
  )),
  noNewPrivileges: some(fc.boolean()),
  oomScoreAdj: some(fc.integer({ min: -1000, max: 1000 })),
  apparmorProfile: some(fc.constantFrom("", "a-profile")),
  selinuxLabel: some(fc.constantFrom("", "system_u:system_r:container_t:s0")),
});

const devices: fc.Arbitrary<LinuxDevice> = fc.record({
  path: fc.oneof(at("/dev/fuse"), at("/dev/net/tun"), at("/dev/null"), mountPoint),
  type: fc.constantFrom("c", "b", "u", "p"),
  major: fc.nat(0xfff),
  minor: fc.nat(0xfffff),
  fileMode: some(fc.nat(0o7777)),
  uid: some(id),
  gid: some(id),
}, { requiredKeys: ["path", "type"] });

const namespaces = fc.record({
  network: fc.constantFrom<(string | undefined)[]>("new", "/proc/7/ns/net", undefined),
  pid: fc.boolean(),
  ipc: fc.constantFrom<(string | undefined)[]>("new", "/run/ns/ipc", undefined),
  uts: fc.boolean(),
  cgroup: fc.boolean(),
}).map((wanted): LinuxNamespace[] => [
  { type: "mount" },
  ...Object.entries(wanted).filter(([, how]) => how).map(([type, how]) => ({
    type: type as LinuxNamespace["type"],
    ...typeof how === "string" && how !== "new" ? { path: how } : {},
  })),
]);

const PROPAGATIONS: RootfsPropagation[] = [
  "private",
  "rprivate",
  "shared",
  "rshared",
  "slave",
  "rslave",
  "unbindable",
  "runbindable",
];

/** A config of any kind that crate takes. */
export const specs: fc.Arbitrary<Spec> = fc.record({
  ociVersion: fc.constant("1.2.0"),
  process: processes,
  root: fc.record({ path: fc.constantFrom("/", "/srv/rootfs"), readonly: fc.boolean() }),
  hostname: some(fc.constantFrom("box", "schön", "")),
  domainname: some(fc.constant("example.org")),
  mounts: some(mounts),
  annotations: some(fc.constantFrom({ [INIT_ANNOTATION]: "true" }, { other: "x" })),
  linux: fc.record({
    namespaces,
    sysctl: some(fc.constantFrom({ "net.core.somaxconn": "1024", "kernel/shmmax": "1" })),
    devices: some(few(devices)),
    rootfsPropagation: some(fc.constantFrom(...PROPAGATIONS)),
    maskedPaths: some(few(containerPath)),
    readonlyPaths: some(few(containerPath)),
    mountLabel: some(fc.constantFrom("", "system_u:object_r:container_file_t:s0")),
  }),
}).map((spec) => {
  // A terminal needs a devpts to come from, and a mount of the root has nothing above it.
  if (spec.mounts !== undefined) return spec;
  return { ...spec, process: { ...spec.process, terminal: false } };
});

/** A filter of so many instructions: what they are does not matter to its program. */
const filters = fc.record({
  filter: fc.integer({ min: 1, max: 40 }).map((count) => new Uint8Array(8 * count).fill(6)),
  flags: fc.constantFrom(0, 2, 4),
});

const groups = ["memory", "pids"].map((controller) => `/sys/fs/cgroup/${controller}/crate/x`);

/** How the container ends and what is then to be done. */
export const monitors: fc.Arbitrary<MonitorOptions> = fc.record({
  detached: fc.boolean(),
  remove: fc.boolean(),
  cgroupDirectories: fc.subarray(groups),
}).map(({ detached, remove, cgroupDirectories }) => ({
  detached,
  cgroupDirectories,
  log: detached ? "/run/crate/x/log" : undefined,
  exitFile: remove ? undefined : "/run/crate/x/exit",
  retire: remove ? ["/run/crate/x", "/run/crate/.retired-x-1"] as const : undefined,
  removeFiles: remove
    ? ["/run/crate/.retired-x-1/log", "/run/crate/.retired-x-1/process.json"]
    : [],
  removeDirectories: remove ? ["/run/crate/.retired-x-1"] : [],
}));

const joins = fc.constantFrom(
  { files: groups.map((group) => `${group}/tasks`) },
  { files: [], descriptor: 5 },
  { files: [`${groups[0]}/tasks`], descriptor: 5 },
);

/** Everything that becomes the program of a container that has a monitor. */
export type MonitoredInput = CompileInput & { readonly parent: MonitorOptions };

/** Everything that becomes a container's program. */
export const inputs: fc.Arbitrary<MonitoredInput> = fc.record({
  spec: specs,
  files: fc.boolean(),
  hybrid: fc.boolean(),
  cgroup: joins,
  seccomp: some(filters),
  parent: monitors,
}).map(({ spec, files, hybrid, cgroup, seccomp, parent }) => ({
  spec,
  facts: {
    sourceKinds: new Map(
      (spec.mounts ?? []).map(({ source }) => [source!, files ? "file" : "directory"]),
    ),
    cgroupHierarchies: hybrid
      ? [
        {
          name: "cpu,cpuacct",
          group: "/sys/fs/cgroup/cpu,cpuacct",
          type: "cgroup",
          options: [["cpu"], ["cpuacct"]],
        },
        {
          name: "systemd",
          group: "/sys/fs/cgroup/systemd",
          type: "cgroup",
          options: [["none"], ["name", "systemd"]],
        },
        { name: "unified", group: "/sys/fs/cgroup/unified", type: "cgroup2", options: [] },
      ]
      : [],
    lastCapability: LAST_CAPABILITY,
  },
  attachPoint: ATTACH_POINT,
  cgroup,
  seccomp,
  parent,
}));

/** The same for containers that an engine creates. */
export const createdInputs: fc.Arbitrary<CompileInput> = fc.record({
  input: inputs,
  keyring: some(fc.constant("_ses.x")),
  noPivot: fc.boolean(),
  count: fc.integer({ min: 0, max: 3 }),
}).map(({ input, keyring, noPivot, count }) => {
  const start = (input.cgroup.descriptor ?? REPORT) + 1;
  const hasConsole = input.spec.process!.terminal === true;
  return {
    ...input,
    keyring,
    noPivot,
    parent: { start, ...hasConsole && { console: start + 1 } },
    preserved: { first: start + (hasConsole ? 2 : 1), count },
  };
});

/** The descriptors that the program of a container starts with. */
export function startingDescriptors(
  { cgroup, parent, preserved }: Pick<CompileInput, "cgroup" | "parent" | "preserved">,
): string[] {
  return [
    "control",
    "report",
    ...cgroup.descriptor === undefined ? [] : ["group"],
    ...parent.start === undefined ? [] : ["start"],
    ...parent.start === undefined || parent.console === undefined ? [] : ["console socket"],
    ...Array.from({ length: preserved?.count ?? 0 }, (_, i) => `handed on ${i}`),
  ];
}
