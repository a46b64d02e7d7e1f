/**
 * The config's resources: what a cgroup limits, and which devices it lets through.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#control-groups
 * @module
 */

/** Limits, cgroups(7). */
export interface LinuxResources {
  readonly devices?: readonly LinuxDeviceCgroup[];
  readonly memory?: LinuxMemory;
  readonly cpu?: LinuxCPU;
  readonly pids?: LinuxPids;
  readonly blockIO?: LinuxBlockIO;
  readonly hugepageLimits?: readonly LinuxHugepageLimit[];
  readonly network?: LinuxNetwork;
  readonly rdma?: Readonly<Record<string, LinuxRdma>>;
  /** cgroup v2 files and what to write: `memory.high` to `1073741824`. */
  readonly unified?: Readonly<Record<string, string>>;
}

/** Bytes; -1 is unlimited. */
export interface LinuxMemory {
  readonly limit?: number;
  readonly reservation?: number;
  /** Memory and swap together. */
  readonly swap?: number;
  /** Deprecated by the spec. */
  readonly kernel?: number;
  readonly kernelTCP?: number;
  /** 0 to 100. */
  readonly swappiness?: number;
  readonly disableOOMKiller?: boolean;
  readonly useHierarchy?: boolean;
  /** Refuse a limit below what is in use. */
  readonly checkBeforeUpdate?: boolean;
}

/** Times are microseconds. */
export interface LinuxCPU {
  readonly shares?: number;
  /** -1 is unlimited. */
  readonly quota?: number;
  readonly burst?: number;
  readonly period?: number;
  readonly realtimeRuntime?: number;
  readonly realtimePeriod?: number;
  /** `0-3,7`. */
  readonly cpus?: string;
  readonly mems?: string;
  /** 1: SCHED_IDLE for the whole group. */
  readonly idle?: number;
}

/** How many processes and threads; 0 or less is unlimited. */
export interface LinuxPids {
  readonly limit: number;
}

/** Block devices. */
export interface LinuxBlockIO {
  /** 10 to 1000. */
  readonly weight?: number;
  readonly leafWeight?: number;
  readonly weightDevice?: readonly LinuxWeightDevice[];
  readonly throttleReadBpsDevice?: readonly LinuxThrottleDevice[];
  readonly throttleWriteBpsDevice?: readonly LinuxThrottleDevice[];
  readonly throttleReadIOPSDevice?: readonly LinuxThrottleDevice[];
  readonly throttleWriteIOPSDevice?: readonly LinuxThrottleDevice[];
}

/** One block device's weight. */
export interface LinuxWeightDevice {
  readonly major: number;
  readonly minor: number;
  readonly weight?: number;
  readonly leafWeight?: number;
}

/** One block device's limit: bytes or operations per second. */
export interface LinuxThrottleDevice {
  readonly major: number;
  readonly minor: number;
  readonly rate?: number;
}

/** A limit for one size of huge pages. */
export interface LinuxHugepageLimit {
  /** `2MB`, `1GB`. */
  readonly pageSize: string;
  /** Bytes. */
  readonly limit: number;
}

/** net_cls and net_prio of cgroup v1. */
export interface LinuxNetwork {
  readonly classID?: number;
  readonly priorities?: readonly LinuxInterfacePriority[];
}

/** One interface's priority. */
export interface LinuxInterfacePriority {
  readonly name: string;
  readonly priority: number;
}

/** One RDMA device's limits. */
export interface LinuxRdma {
  readonly hcaHandles?: number;
  readonly hcaObjects?: number;
}

/** One rule of the device allow-list: the last that matches decides. */
export interface LinuxDeviceCgroup {
  readonly allow: boolean;
  /** All, character, block; `a` when left out. */
  readonly type?: "a" | "c" | "b";
  /** Any when left out or -1. */
  readonly major?: number;
  readonly minor?: number;
  /** Of `r`, `w`, `m` (mknod). */
  readonly access?: string;
}
