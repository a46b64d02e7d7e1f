import type { Spec } from "../../spec/mod.ts";

/** What the compiler must know of the host: looked up before, so that it is a pure function. */
export interface HostFacts {
  /** For each bind mount's source: what it is. */
  readonly sourceKinds: ReadonlyMap<string, "directory" | "file">;
  /**
   * The hierarchies that a `cgroup` mount shows, each as `fsopen` takes it; empty on a host with
   * cgroup v2 alone.
   */
  readonly cgroupHierarchies: readonly CgroupHierarchy[];
  /** The highest capability the kernel knows. */
  readonly lastCapability: number;
  /**
   * Whether an overlay's layers can be given one by one (`lowerdir+`, Linux 6.7): looked up when there
   * are more than a page names.
   */
  readonly overlayAppends?: boolean;
}

/** One hierarchy of a host that still has cgroup v1. */
export interface CgroupHierarchy {
  /** The directory's name below /sys/fs/cgroup. */
  readonly name: string;
  readonly type: "cgroup" | "cgroup2";
  /** The filesystem's options, such as `["cpu"]`. */
  readonly options: readonly (readonly [string, string?])[];
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
  readonly monitor: MonitorOptions;
}

/** What the process beside the container does. */
export interface MonitorOptions {
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
}
