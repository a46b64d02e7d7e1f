/**
 * From what a person asks for to an OCI config. Pure: everything that must be looked up (users,
 * devices, the default filter) is handed in.
 *
 * @module
 */
import { CrateError } from "../errors.ts";
import type {
  Box,
  Linux,
  LinuxCapabilities,
  LinuxDevice,
  LinuxNamespace,
  LinuxNamespaceType,
  LinuxSeccomp,
  Mount,
  POSIXRlimit,
  Process,
  Spec,
  User,
} from "./types.ts";
import type { LinuxDeviceCgroup, LinuxResources } from "./types_resources.ts";
import { type IdMaps, inUserNamespace } from "./user_namespace.ts";
import {
  DEFAULT_PATH,
  defaultDeviceRules,
  defaultMaskedPaths,
  defaultMounts,
  defaultReadonlyPaths,
} from "./defaults.ts";

/** A device and what the container may do with it. */
export interface RunDevice {
  readonly device: LinuxDevice;
  /** Of `r`, `w`, `m`; `rwm` when left out. */
  readonly access?: string;
  /** Where the host has it; at the same path when left out. */
  readonly source?: string;
}

/** A namespace of the container's own, or the host's. */
export type Share = "private" | "host";

/** What `crate run` takes, words already read into values. What is left out has docker's default. */
export interface RunOptions {
  /** The command and its arguments. */
  readonly args: readonly string[];
  /** The root filesystem's directory, absolute or relative to the bundle. */
  readonly rootfs: string;
  readonly rootReadonly?: boolean;
  /** `NAME=value` each; over the defaults `PATH`, `HOSTNAME`, and `TERM` with a tty. */
  readonly env?: readonly string[];
  readonly cwd?: string;
  readonly hostname?: string;
  readonly domainname?: string;
  /** In numbers; root when left out. */
  readonly user?: User;
  readonly tty?: boolean;
  readonly consoleSize?: Box;
  /** Over, and in place of, the default mounts. */
  readonly mounts?: readonly Mount[];
  /** Full names (`CAP_NET_ADMIN`), or `ALL`. */
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly privileged?: boolean;
  readonly noNewPrivileges?: boolean;
  /** null for no filter; the default one when left out. */
  readonly seccomp?: LinuxSeccomp | null;
  readonly ulimits?: readonly POSIXRlimit[];
  readonly devices?: readonly RunDevice[];
  /** Bytes. */
  readonly memory?: number;
  readonly memoryReservation?: number;
  /** Bytes of memory and swap together; -1 is unlimited. */
  readonly memorySwap?: number;
  /** Processors, 1.5; or a quota and a period in microseconds. */
  readonly cpus?: number;
  readonly cpuQuota?: number;
  readonly cpuPeriod?: number;
  readonly cpuShares?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  /** 0 or less is unlimited. */
  readonly pidsLimit?: number;
  readonly oomScoreAdj?: number;
  /**
   * A network namespace with loopback only (the default), the host's, or the one at a path. Interfaces come into a
   * new one when it is there: they are not the config's.
   */
  readonly network?: "none" | "host" | { readonly path: string };
  readonly pid?: Share;
  readonly ipc?: Share;
  readonly uts?: Share;
  readonly cgroupns?: Share;
  /** A user namespace of its own, by these maps; the host's users when left out. */
  readonly userns?: IdMaps;
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Become annotations. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly cgroupsPath?: string;
  /** Bytes of /dev/shm. */
  readonly shmSize?: number;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
}

/** What the host and the other rooms know. */
export interface RunDefaults {
  /** Docker's default 14. */
  readonly capabilities: readonly string[];
  /** Every one that this kernel has: what `ALL` means. */
  readonly allCapabilities: readonly string[];
  /** The default filter for a container with these capabilities, or null for none. */
  readonly seccomp: (capabilities: readonly string[]) => LinuxSeccomp | null;
  /**
   * Whether the host counts swap: then memory alone limits memory and swap together to twice as
   * much, as docker does. Where it does not, such a limit could not be enforced.
   */
  readonly swapLimit?: boolean;
  /** The host's devices: what a privileged container gets; not looked at for others. */
  readonly hostDevices?: readonly LinuxDevice[];
}

/**
 * The config of a container that a person asked for.
 *
 * @throws {CrateError} `INVALID` for options that contradict each other. Values that are wrong in
 * themselves are left to {@linkcode validateSpec}.
 *
 * @example
 * ```ts
 * import { specFromOptions, validateSpec } from "./mod.ts";
 * const defaults = { capabilities: ["CAP_CHOWN"], allCapabilities: ["CAP_CHOWN"], seccomp: () => null };
 * const spec = specFromOptions({ args: ["/bin/true"], rootfs: "/srv/root" }, defaults);
 * if (validateSpec(spec).process?.cwd !== "/") throw new Error("docker's default is /");
 * ```
 */
export function specFromOptions(options: RunOptions, defaults: RunDefaults): Spec {
  contradictions(options);
  const capabilities = effectiveCapabilities(options, defaults);
  const spec: Spec = dropUndefined({
    ociVersion: "1.2.0",
    process: processOf(options, capabilities),
    root: dropUndefined({ path: options.rootfs, readonly: options.rootReadonly }),
    hostname: options.hostname,
    domainname: options.domainname,
    mounts: mountsOf(options),
    annotations: options.labels,
    linux: linuxOf(options, defaults, capabilities),
  });
  return options.userns === undefined ? spec : inUserNamespace(spec, options.userns, options);
}

/** A copy without the fields that are undefined: JSON has none, and no reader should see one. */
function dropUndefined<T extends object>(value: T): T {
  const copy: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) if (field !== undefined) copy[key] = field;
  return copy as T;
}

function contradictions(options: RunOptions): void {
  const refuse = (sentence: string): never => {
    throw new CrateError("INVALID", sentence);
  };
  if (options.cpus !== undefined && (options.cpuQuota ?? options.cpuPeriod) !== undefined) {
    refuse("--cpus and --cpu-quota or --cpu-period say the same thing: leave one out");
  }
  const { memory = 0, memorySwap = 0 } = options;
  if (memorySwap > 0 && memory <= 0) {
    refuse("--memory-swap counts --memory and swap together: give --memory, too");
  }
  if (memorySwap > 0 && memorySwap < memory) {
    refuse(`--memory-swap ${memorySwap} counts --memory, too: it is at least ${memory}, or -1`);
  }
  if (options.uts === "host" && (options.hostname ?? options.domainname) !== undefined) {
    refuse("--hostname needs a host name of the container's own: leave it or --uts=host out");
  }
  if (options.ipc === "host" && options.shmSize !== undefined) {
    refuse("--shm-size needs a /dev/shm of the container's own: leave it or --ipc=host out");
  }
  const seen = new Set<string>();
  for (const { destination, options: words = [] } of options.mounts ?? []) {
    if (options.userns === undefined && words.includes("idmap")) {
      refuse(
        `${destination}: idmap is by the maps of the container's user namespace, and it has none: ` +
          "give --userns auto, or maps with it, idmap=uids=...;gids=...",
      );
    }
    if (seen.has(destination)) refuse(`${destination} is mounted twice: leave one mount out`);
    seen.add(destination);
  }
}

/** As docker reads --cap-add and --cap-drop; what is dropped stays dropped, ALL added or not. */
function effectiveCapabilities(options: RunOptions, defaults: RunDefaults): string[] {
  const { capAdd = [], capDrop = [] } = options;
  const all = options.privileged || capAdd.includes("ALL");
  const named = capAdd.filter((name) => name !== "ALL");
  let names: readonly string[];
  if (all) {
    names = defaults.allCapabilities.filter((name) => !capDrop.includes(name));
  } else if (capDrop.includes("ALL")) {
    names = named;
  } else {
    names = [...defaults.capabilities.filter((name) => !capDrop.includes(name)), ...named];
  }
  return [...new Set(names)];
}

function processOf(options: RunOptions, capabilities: readonly string[]): Process {
  const user = options.user ?? { uid: 0, gid: 0 };
  return dropUndefined({
    terminal: options.tty,
    consoleSize: options.consoleSize,
    user,
    args: options.args,
    env: environment(options),
    cwd: options.cwd ?? "/",
    capabilities: capabilitySets(capabilities, user),
    rlimits: options.ulimits,
    noNewPrivileges: options.noNewPrivileges,
    oomScoreAdj: options.oomScoreAdj,
  });
}

/**
 * Nothing is inheritable or ambient, as docker has had it since CVE-2022-24769; a user other than
 * root has none until a setuid program gives back what the bounding set allows.
 */
function capabilitySets(bounding: readonly string[], user: User): LinuxCapabilities {
  const own = (user.uid ?? 0) === 0 ? bounding : [];
  return { bounding, effective: own, permitted: own, inheritable: [], ambient: [] };
}

function environment(options: RunOptions): string[] {
  const env = new Map<string, string>();
  const set = (word: string) => env.set(word.split("=", 1)[0]!, word);
  set(`PATH=${DEFAULT_PATH}`);
  if (options.hostname !== undefined) set(`HOSTNAME=${options.hostname}`);
  if (options.tty) set("TERM=xterm");
  options.env?.forEach(set);
  return [...env.values()];
}

function mountsOf(options: RunOptions): Mount[] {
  const own = options.mounts ?? [];
  const taken = new Set(own.map((mount) => mount.destination));
  const defaults = defaultMounts(options.shmSize)
    .filter(({ destination }) => !taken.has(destination))
    // Somebody's own /dev comes with what is in it.
    .filter(({ destination }) => !(taken.has("/dev") && destination.startsWith("/dev/")))
    .map((mount) => adaptMount(mount, options));
  // Parents before what is mounted in them; otherwise as they came.
  return [...defaults, ...own].sort((a, b) => depth(a.destination) - depth(b.destination));
}

function depth(path: string): number {
  return path.split("/").filter((part) => part !== "").length;
}

function adaptMount(mount: Mount, options: RunOptions): Mount {
  if (options.ipc === "host" && mount.destination === "/dev/shm") {
    // POSIX shared memory is files here: the host's IPC is the host's /dev/shm.
    const binding = ["rbind", "nosuid", "noexec", "nodev", "rprivate"];
    return { destination: "/dev/shm", type: "bind", source: "/dev/shm", options: binding };
  }
  if (options.privileged && (mount.type === "sysfs" || mount.type === "cgroup")) {
    return { ...mount, options: mount.options?.filter((option) => option !== "ro") };
  }
  return mount;
}

function linuxOf(
  options: RunOptions,
  defaults: RunDefaults,
  capabilities: readonly string[],
): Linux {
  const { privileged = false } = options;
  const devices = [
    ...(privileged ? defaults.hostDevices ?? [] : []),
    ...(options.devices ?? []).map(({ device }) => device),
  ];
  const filter = options.seccomp === undefined && !privileged
    ? defaults.seccomp(capabilities)
    : options.seccomp;
  return dropUndefined({
    namespaces: namespacesOf(options),
    devices: devices.length === 0 ? undefined : lastOfEachPath(devices),
    cgroupsPath: options.cgroupsPath,
    resources: resourcesOf(options, defaults),
    seccomp: filter ?? undefined,
    sysctl: options.sysctls,
    maskedPaths: options.maskedPaths ?? (privileged ? [] : defaultMaskedPaths()),
    readonlyPaths: options.readonlyPaths ?? (privileged ? [] : defaultReadonlyPaths()),
    rootfsPropagation: rootPropagation(options),
  });
}

/** A --device at a path where a privileged container already has one takes its place. */
function lastOfEachPath(devices: readonly LinuxDevice[]): LinuxDevice[] {
  return [...new Map(devices.map((device) => [device.path, device])).values()];
}

function namespacesOf(options: RunOptions): LinuxNamespace[] {
  const { network } = options;
  const joined = typeof network === "object" ? network.path : undefined;
  const shared: Partial<Record<LinuxNamespaceType, string>> = {
    pid: options.pid,
    network: joined === undefined ? String(network) : undefined,
    ipc: options.ipc,
    uts: options.uts,
    cgroup: options.cgroupns,
  };
  const types: LinuxNamespaceType[] = ["mount", "pid", "network", "ipc", "uts", "cgroup"];
  return types.filter((type) => shared[type] !== "host").map((type) =>
    type === "network" && joined !== undefined ? { type, path: joined } : { type }
  );
}

/** A mount that hears from the host, or tells it, needs a root that does too. */
function rootPropagation(options: RunOptions): Linux["rootfsPropagation"] {
  const words = new Set(options.mounts?.flatMap((mount) => mount.options ?? []));
  if (words.has("shared") || words.has("rshared")) return "shared";
  if (words.has("slave") || words.has("rslave")) return "slave";
  return undefined;
}

function resourcesOf(options: RunOptions, defaults: RunDefaults): LinuxResources {
  const bySwap = defaults.swapLimit && options.memory !== undefined && options.memory > 0;
  const memory = dropUndefined({
    limit: options.memory,
    reservation: options.memoryReservation,
    swap: options.memorySwap ?? (bySwap ? 2 * options.memory : undefined),
  });
  const cpu = dropUndefined({
    ...bandwidth(options),
    shares: options.cpuShares,
    cpus: options.cpusetCpus,
    mems: options.cpusetMems,
  });
  const { pidsLimit = 0 } = options;
  return dropUndefined({
    devices: options.privileged ? [{ allow: true, access: "rwm" }] : [
      ...defaultDeviceRules(),
      ...(options.devices ?? []).map(({ device, access = "rwm" }) => ruleOf(device, access)),
    ],
    memory: Object.keys(memory).length === 0 ? undefined : memory,
    cpu: Object.keys(cpu).length === 0 ? undefined : cpu,
    pids: pidsLimit <= 0 ? undefined : { limit: pidsLimit },
  });
}

function ruleOf(device: LinuxDevice, access: string): LinuxDeviceCgroup {
  const type = device.type === "b" ? "b" : "c";
  return dropUndefined({ allow: true, type, major: device.major, minor: device.minor, access });
}

/** docker's period, and the kernel's: 100 ms. */
const CPU_PERIOD = 100_000;

function bandwidth(options: RunOptions): { quota?: number; period?: number } {
  if (options.cpus === undefined) {
    return dropUndefined({ quota: options.cpuQuota, period: options.cpuPeriod });
  }
  return { quota: Math.round(options.cpus * CPU_PERIOD), period: CPU_PERIOD };
}
