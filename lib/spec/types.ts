/**
 * The OCI runtime-spec's configuration (`config.json`) for Linux: version 1.2 and what 1.3 adds,
 * named as the spec's own Go structs are, with the JSON's field names.
 *
 * These are shapes only: {@linkcode validateSpec} says whether a value has one. Everything is
 * read-only, so that a config may be shared and never changes under a reader.
 *
 * Numbers are JavaScript numbers, except where a 64-bit value is compared bit by bit or means
 * "unlimited" by its very last bit (rlimits, seccomp arguments): those are {@linkcode Uint64}.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/main/config.md
 * @module
 */
import type { LinuxResources } from "./types_resources.ts";

/** An unsigned 64-bit integer: a number up to 2^53-1, a bigint above. `BigInt(value)` reads both. */
export type Uint64 = number | bigint;

/** A container's whole configuration. */
export interface Spec {
  /** The version of the runtime-spec that the document follows, `1.2.0`. */
  readonly ociVersion: string;
  readonly process?: Process;
  readonly root?: Root;
  readonly hostname?: string;
  readonly domainname?: string;
  /** In the order in which they are mounted. */
  readonly mounts?: readonly Mount[];
  readonly hooks?: Hooks;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: Linux;
}

/** What runs in the container. */
export interface Process {
  readonly terminal?: boolean;
  readonly consoleSize?: Box;
  readonly user?: User;
  /** `args[0]` is the program; only a container that is never started may leave it out. */
  readonly args?: readonly string[];
  /** `NAME=value` each. */
  readonly env?: readonly string[];
  /** Absolute, in the container. */
  readonly cwd: string;
  readonly capabilities?: LinuxCapabilities;
  readonly rlimits?: readonly POSIXRlimit[];
  readonly noNewPrivileges?: boolean;
  readonly apparmorProfile?: string;
  /** -1000 to 1000. */
  readonly oomScoreAdj?: number;
  readonly scheduler?: Scheduler;
  readonly selinuxLabel?: string;
  readonly ioPriority?: LinuxIOPriority;
  readonly execCPUAffinity?: CPUAffinity;
}

/** A terminal's size in characters. */
export interface Box {
  readonly height: number;
  readonly width: number;
}

/** Whom the process runs as, in the container's user namespace. */
export interface User {
  readonly uid?: number;
  readonly gid?: number;
  /** The bits a new file does not get, `0o022` is 18. */
  readonly umask?: number;
  readonly additionalGids?: readonly number[];
  /** For Windows; carried and not used on Linux. */
  readonly username?: string;
}

/** Capability sets, names as capabilities(7) has them: `CAP_NET_BIND_SERVICE`. */
export interface LinuxCapabilities {
  readonly bounding?: readonly string[];
  readonly effective?: readonly string[];
  readonly inheritable?: readonly string[];
  readonly permitted?: readonly string[];
  readonly ambient?: readonly string[];
}

/** One resource limit, setrlimit(2). */
export interface POSIXRlimit {
  /** `RLIMIT_NOFILE`, ... */
  readonly type: string;
  /** Unlimited is 2^64-1. */
  readonly hard: Uint64;
  readonly soft: Uint64;
}

/** sched_setattr(2). */
export interface Scheduler {
  readonly policy:
    | "SCHED_OTHER"
    | "SCHED_FIFO"
    | "SCHED_RR"
    | "SCHED_BATCH"
    | "SCHED_ISO"
    | "SCHED_IDLE"
    | "SCHED_DEADLINE";
  readonly nice?: number;
  readonly priority?: number;
  readonly flags?: readonly string[];
  /** Nanoseconds, as `deadline` and `period`. */
  readonly runtime?: number;
  readonly deadline?: number;
  readonly period?: number;
}

/** ioprio_set(2). */
export interface LinuxIOPriority {
  readonly class: "IOPRIO_CLASS_RT" | "IOPRIO_CLASS_BE" | "IOPRIO_CLASS_IDLE";
  readonly priority?: number;
}

/** Lists of CPUs (`0-3,7`) for `exec`: before and after the process joins the cgroup. */
export interface CPUAffinity {
  readonly initial?: string;
  readonly final?: string;
}

/** The root filesystem. */
export interface Root {
  /** Absolute, or relative to the bundle. */
  readonly path: string;
  readonly readonly?: boolean;
}

/** One mount, mount(8). */
export interface Mount {
  /** In the container; a relative one is read as from `/`. */
  readonly destination: string;
  /** The filesystem's type, or `bind`. */
  readonly type?: string;
  /** A bind's source: absolute, or relative to the bundle. */
  readonly source?: string;
  readonly options?: readonly string[];
  readonly uidMappings?: readonly LinuxIDMapping[];
  readonly gidMappings?: readonly LinuxIDMapping[];
}

/** Programs that run at points of the container's life. */
export interface Hooks {
  /** Deprecated by the spec, in use by engines. */
  readonly prestart?: readonly Hook[];
  readonly createRuntime?: readonly Hook[];
  readonly createContainer?: readonly Hook[];
  readonly startContainer?: readonly Hook[];
  readonly poststart?: readonly Hook[];
  readonly poststop?: readonly Hook[];
}

/** One program to run. */
export interface Hook {
  /** Absolute. */
  readonly path: string;
  /** With `args[0]`, as execv(3) takes them. */
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  /** Seconds, 1 or more. */
  readonly timeout?: number;
}

/** What is Linux's own. */
export interface Linux {
  readonly uidMappings?: readonly LinuxIDMapping[];
  readonly gidMappings?: readonly LinuxIDMapping[];
  /** Kernel parameters, sysctl(8): `net.core.somaxconn`. */
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly resources?: LinuxResources;
  readonly cgroupsPath?: string;
  readonly namespaces?: readonly LinuxNamespace[];
  readonly devices?: readonly LinuxDevice[];
  /** Host network devices to move in, by their name on the host (1.3). */
  readonly netDevices?: Readonly<Record<string, LinuxNetDevice>>;
  readonly seccomp?: LinuxSeccomp;
  /** How mounts under `/` propagate; the recursive forms are what Docker writes. */
  readonly rootfsPropagation?: RootfsPropagation;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly mountLabel?: string;
  readonly intelRdt?: LinuxIntelRdt;
  readonly memoryPolicy?: LinuxMemoryPolicy;
  readonly personality?: LinuxPersonality;
  /** Clock offsets of a time namespace, by clock. */
  readonly timeOffsets?: Readonly<Partial<Record<"monotonic" | "boottime", LinuxTimeOffset>>>;
}

/** The root's propagation, mount_namespaces(7). */
export type RootfsPropagation =
  | "private"
  | "rprivate"
  | "shared"
  | "rshared"
  | "slave"
  | "rslave"
  | "unbindable"
  | "runbindable";

/** namespaces(7). */
export type LinuxNamespaceType =
  | "pid"
  | "network"
  | "mount"
  | "ipc"
  | "uts"
  | "user"
  | "cgroup"
  | "time";

/** A namespace to make, or with a path one to join. */
export interface LinuxNamespace {
  readonly type: LinuxNamespaceType;
  /** Absolute: a namespace file, `/proc/123/ns/net`. */
  readonly path?: string;
}

/** One line of a uid or gid map, user_namespaces(7). */
export interface LinuxIDMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** A device node to make. */
export interface LinuxDevice {
  /** In the container, absolute. */
  readonly path: string;
  /** Block, character, unbuffered character, FIFO (which has no numbers). */
  readonly type: "b" | "c" | "u" | "p";
  readonly major?: number;
  readonly minor?: number;
  /** Permission bits as a number: `0o666` is 438. Engines may leave the file type's bits in. */
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** A network device's name in the container, when another than on the host. */
export interface LinuxNetDevice {
  readonly name?: string;
}

/** What a filter answers, seccomp(2). */
export type LinuxSeccompAction =
  | "SCMP_ACT_KILL"
  | "SCMP_ACT_KILL_PROCESS"
  | "SCMP_ACT_KILL_THREAD"
  | "SCMP_ACT_TRAP"
  | "SCMP_ACT_ERRNO"
  | "SCMP_ACT_TRACE"
  | "SCMP_ACT_ALLOW"
  | "SCMP_ACT_LOG"
  | "SCMP_ACT_NOTIFY";

/** How a filter compares an argument; unsigned, 64 bits. */
export type LinuxSeccompOperator =
  | "SCMP_CMP_NE"
  | "SCMP_CMP_LT"
  | "SCMP_CMP_LE"
  | "SCMP_CMP_EQ"
  | "SCMP_CMP_GE"
  | "SCMP_CMP_GT"
  | "SCMP_CMP_MASKED_EQ";

/** A system-call filter. */
export interface LinuxSeccomp {
  /** For a call that no rule names. */
  readonly defaultAction: LinuxSeccompAction;
  readonly defaultErrnoRet?: number;
  /** `SCMP_ARCH_X86_64`, ... besides the host's own. */
  readonly architectures?: readonly string[];
  /** `SECCOMP_FILTER_FLAG_LOG`, ... */
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly LinuxSyscall[];
}

/** One rule: these calls, when all arguments match, get this action. */
export interface LinuxSyscall {
  readonly names: readonly string[];
  readonly action: LinuxSeccompAction;
  readonly errnoRet?: number;
  readonly args?: readonly LinuxSeccompArg[];
}

/** One argument's test. */
export interface LinuxSeccompArg {
  /** 0 to 5. */
  readonly index: number;
  /** For `SCMP_CMP_MASKED_EQ` the mask. */
  readonly value: Uint64;
  /** For `SCMP_CMP_MASKED_EQ` what the masked argument must be. */
  readonly valueTwo?: Uint64;
  readonly op: LinuxSeccompOperator;
}

/** resctrl. */
export interface LinuxIntelRdt {
  readonly closID?: string;
  /** Lines for the schemata file (1.3). */
  readonly schemata?: readonly string[];
  readonly l3CacheSchema?: string;
  readonly memBwSchema?: string;
  /** A monitoring group of the container's own (1.3). */
  readonly enableMonitoring?: boolean;
  /** Monitoring as 1.2 has it, gone in 1.3. */
  readonly enableCMT?: boolean;
  readonly enableMBM?: boolean;
}

/** set_mempolicy(2) (1.3). */
export interface LinuxMemoryPolicy {
  /** `MPOL_BIND`, ... */
  readonly mode?: string;
  /** `0-3,7`. */
  readonly nodes?: string;
  /** `MPOL_F_STATIC_NODES`, ... */
  readonly flags?: readonly string[];
}

/** personality(2). */
export interface LinuxPersonality {
  readonly domain?: "LINUX" | "LINUX32";
  readonly flags?: readonly string[];
}

/** One clock's offset. */
export interface LinuxTimeOffset {
  readonly secs?: number;
  readonly nanosecs?: number;
}
