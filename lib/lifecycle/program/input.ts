import type { Cell } from "../../../ffi/mod.ts";
import type { Mount, Spec } from "../../spec/mod.ts";
import type { Execution } from "./execute.ts";
import type { Scope } from "./scope.ts";

/** What the compiler must know of the host: looked up before, so that it is a pure function. */
export interface HostFacts {
  /** For each bind mount's source: what it is. */
  readonly sourceKinds: ReadonlyMap<string, "directory" | "file">;
  /** For each bind mount with `copy-symlink` whose source is a link: what it points to. */
  readonly links?: ReadonlyMap<string, string>;
  /**
   * The hierarchies that a `cgroup` mount shows, each as `fsopen` takes it; empty on a host with
   * cgroup v2 alone.
   */
  readonly cgroupHierarchies: readonly CgroupHierarchy[];
  /** The highest capability the kernel knows. */
  readonly lastCapability: number;
  /**
   * The container is in a user namespace, its own or crate's: device nodes cannot be made, and the host's own
   * are mounted; whether groups may be changed depends on who made the namespace.
   */
  readonly isInUserNamespace?: boolean;
  /**
   * Whether an overlay's layers can be given one by one (`lowerdir+`, Linux 6.7): looked up when there
   * are more than a page names.
   */
  readonly overlayAppends?: boolean;
  /**
   * The parts of the host's root filesystem, where a view of it cannot be had in one: in a user namespace nothing may be
   * laid over a tree in which something else is mounted.
   */
  readonly hostParts?: readonly HostPart[];
}

/** An entry of the host's root directory, and what the container has in its place. */
export interface HostPart {
  readonly name: string;
  /** A view of it, the same to be read only, an empty directory, or a link. */
  readonly kind: "view" | "readonly" | "empty" | "link";
  /** A link's target. */
  readonly target?: string;
}

/** One hierarchy of a host that still has cgroup v1. */
export interface CgroupHierarchy {
  /** The directory's name below /sys/fs/cgroup. */
  readonly name: string;
  readonly type: "cgroup" | "cgroup2";
  /** The filesystem's options, such as `["cpu"]`. */
  readonly options: readonly (readonly [string, string?])[];
  /** The directory of the container's group on the host: all that a container without a cgroup namespace sees. */
  readonly group: string;
}

/** How the container's processes enter its control groups. */
export interface CgroupJoin {
  /** v1: `tasks` files; the init writes `0` to each, which moves the writer. */
  readonly files: readonly string[];
  /** v2: the init is cloned into this descriptor's group (`CLONE_INTO_CGROUP`). */
  readonly descriptor?: number;
}

/** Everything that becomes the program of a container. */
export interface CompileInput {
  readonly spec: Spec;
  readonly facts: HostFacts;
  /** An existing directory of the host, private to crate, on which the init attaches its root. */
  readonly attachPoint: string;
  readonly cgroup: CgroupJoin;
  /** The compiled filter and its flags. */
  readonly seccomp?: { readonly filter: Uint8Array; readonly flags: number };
  /** The process beside the container, or the engine that is its parent. */
  readonly parent: MonitorOptions | EngineOptions;
  /** Move the root to `/` instead of pivot_root(2), which a root on the initial ramfs does not allow. */
  readonly noPivot?: boolean;
  /** The name of the session keyring that the container gets; absent: it keeps crate's. keyctl(2) */
  readonly keyring?: string;
  /** The descriptor of the user namespace that has the ids of each idmapped mount. */
  readonly idmaps?: ReadonlyMap<Mount, number>;
  /** What makes a root of id-mapped layers: few need it. */
  readonly mountMapped?: MountMapped;
  /** The descriptor of a socket on which somebody takes the listener of the seccomp filter. */
  readonly listener?: number;
  /** How many descriptors are handed on, and the number of the first in the program. */
  readonly preserved?: Preserved;
  /** Where the arguments are not those of the config, but what the program is started with: `prepareOwnExecution`. */
  readonly prepareOwn?: PrepareOwn;
}

/** Writes the steps that take a process's arguments from those of the program. */
export type PrepareOwn = (s: Scope, env: readonly string[]) => Execution;

/** Writes the steps that mount a root of id-mapped layers; see mapped_overlay.ts. */
export type MountMapped = (
  s: Scope,
  spec: Spec,
  mount: Mount,
  idmap: number,
  attachPoint: string,
) => Cell;

/** Descriptors that the container's program finds from 3 on. */
export interface Preserved {
  readonly first: number;
  readonly count: number;
}

/** A container that waits for `start`, and whose parent is whoever called crate. */
export interface EngineOptions {
  /** The descriptor of the listening socket on which it waits. */
  readonly start: number;
  /** The descriptor of the engine's socket for the console. */
  readonly console?: number;
}

/** What the process beside the container does. */
export interface MonitorOptions {
  readonly start?: undefined;
  /** The container outlives whoever started it. */
  readonly detached: boolean;
  /** Where the output of a detached container goes, framed; see log.ts. */
  readonly log?: string;
  /** Where the exit status and time are written; absent: nowhere. */
  readonly exitFile?: string;
  /** The `cgroup.procs` of a container without a pid namespace: who is in it ends with the first. */
  readonly killGroup?: string;
  /** Renamed when the container ends, so that its name is free at once: from, to. */
  readonly retire?: readonly [string, string];
  /** Then removed, in this order. */
  readonly removeFiles: readonly string[];
  readonly removeDirectories: readonly string[];
  /** Control groups to remove when the container has ended, the deepest first. */
  readonly cgroupDirectories: readonly string[];
  readonly network?: MonitoredNetwork;
}

/** What a monitor keeps and gives back for a container on networks. */
export interface MonitoredNetwork {
  /** How many descriptors of the container's networks are the last that the program starts with. */
  readonly held: number;
  /** How many of these, the first, it keeps until it ends itself. */
  readonly lasting?: number;
  /** What it does, in this order, when the container has ended; then it lets go of the descriptors. */
  readonly steps?: readonly LeaveStep[];
  /** Messages for nftables, when the container has ended. */
  readonly atEnd: readonly Uint8Array<ArrayBuffer>[];
}

/** What a monitor does for networks that other programs make; descriptors are counted among those that it holds. */
export type LeaveStep = {
  /** A program that is run to its end. */
  readonly kind: "run";
  readonly path: string;
  readonly env: readonly string[];
  /** The descriptor of what it reads. */
  readonly input: number;
  /** The descriptor of the network namespace, which it is told as `CNI_NETNS`. */
  readonly namespace: number;
} | {
  /** A program that is ended. */
  readonly kind: "end";
  readonly name: string;
  /** The control socket of its monitor. */
  readonly control: number;
  /** That monitor. */
  readonly pidfd: number;
};
