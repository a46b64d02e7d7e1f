/**
 * The commands by which an engine (podman, containerd, Docker) calls a runtime: words as runc has them.
 *
 * @module
 */
import type { Call, CommandTableOf, OptionValues, PositionalTable } from "../table.ts";

const container: PositionalTable = {
  name: "CONTAINER",
  required: true,
  variadic: false,
  description: "id",
};

export const psOptions = [
  {
    long: "format",
    short: "f",
    argument: "FORMAT",
    choices: ["table", "json"],
    description: "how to print them",
    default: "table",
  },
] as const;

/** What `crate ps` is called with. */
export type PsCall = Call<OptionValues<typeof psOptions>>;

export const psTable: CommandTableOf<typeof psOptions> = {
  name: "ps",
  summary: "List the process ids of a container, as the host sees them",
  usage: "[OPTIONS] CONTAINER",
  group: "Engines",
  options: psOptions,
  positionals: [
    container,
    { name: "PS-OPTION", required: false, variadic: true, description: "of runc; refused" },
  ],
  examples: [{ text: "for a program to read", command: "crate ps --format json web" }],
  load: () => import("../../commands/ps.ts"),
};

export const updateOptions = [
  {
    long: "resources",
    short: "r",
    argument: "FILE",
    description: "read them from a file, linux.resources of the OCI config; - is standard input",
  },
  { long: "memory", short: "m", argument: "BYTES", description: "limit of memory, such as 512m" },
  {
    long: "memory-reservation",
    argument: "BYTES",
    description: "memory to leave it when the host is short",
  },
  {
    long: "memory-swap",
    argument: "BYTES",
    description: "limit of memory and swap together; -1 for no limit",
  },
  {
    long: "cpu-period",
    argument: "MICROSECONDS",
    description: "period that --cpu-quota counts in",
  },
  {
    long: "cpu-quota",
    argument: "MICROSECONDS",
    description: "processor time in each period; -1 for no limit",
  },
  {
    long: "cpu-burst",
    argument: "MICROSECONDS",
    description: "unused processor time that may be saved up",
  },
  {
    long: "cpu-share",
    short: "c",
    argument: "N",
    description: "weight of its processor time against others",
  },
  { long: "cpu-idle", argument: "N", description: "1: run only when nothing else wants to" },
  { long: "cpu-rt-period", argument: "MICROSECONDS", description: "period of --cpu-rt-runtime" },
  { long: "cpu-rt-runtime", argument: "MICROSECONDS", description: "realtime processor time" },
  { long: "cpuset-cpus", argument: "LIST", description: "processors to run on, such as 0-3,7" },
  { long: "cpuset-mems", argument: "LIST", description: "memory nodes to use" },
  {
    long: "pids-limit",
    argument: "N",
    description: "how many processes and threads; -1 for no limit",
  },
  {
    long: "kernel-memory",
    argument: "BYTES",
    description: "limit of the kernel's memory for it, which Linux has not had since 5.16",
  },
  {
    long: "kernel-memory-tcp",
    argument: "BYTES",
    description: "limit of the memory of its TCP buffers",
  },
  {
    long: "l3-cache-schema",
    argument: "LINES",
    description: "share of the L3 cache, as linux.intelRdt.l3CacheSchema",
  },
  {
    long: "mem-bw-schema",
    argument: "LINE",
    description: "share of the memory bandwidth, as linux.intelRdt.memBwSchema",
  },
  { long: "blkio-weight", argument: "N", description: "weight of its disk traffic, 10 to 1000" },
] as const;

/** What `crate update` is called with. */
export type UpdateCall = Call<OptionValues<typeof updateOptions>>;

export const updateTable: CommandTableOf<typeof updateOptions> = {
  name: "update",
  summary: "Change the limits of a container while it runs",
  usage: "[OPTIONS] CONTAINER",
  group: "Containers",
  options: updateOptions,
  positionals: [container],
  examples: [{ text: "half a gigabyte", command: "crate update --memory 512m web" }],
  load: () => import("../../commands/update.ts"),
};

export const eventsOptions = [
  { long: "stats", description: "print them once, and end" },
  {
    long: "interval",
    argument: "DURATION",
    description: "time from one to the next, such as 500ms or 10s",
    default: "5s",
  },
] as const;

/** What `crate events` is called with. */
export type EventsCall = Call<OptionValues<typeof eventsOptions>>;

export const eventsTable: CommandTableOf<typeof eventsOptions> = {
  name: "events",
  summary: "Print what a container uses as JSON, again and again",
  usage: "[OPTIONS] CONTAINER",
  group: "Engines",
  options: eventsOptions,
  positionals: [container],
  examples: [{ text: "once", command: "crate events --stats web" }],
  load: () => import("../../commands/events.ts"),
};

export const featuresOptions = [] as const;

/** What `crate features` is called with. */
export type FeaturesCall = Call<OptionValues<typeof featuresOptions>>;

export const featuresTable: CommandTableOf<typeof featuresOptions> = {
  name: "features",
  summary: "Print what of the OCI runtime-spec crate does, as JSON",
  usage: "",
  group: "Engines",
  options: featuresOptions,
  positionals: [],
  examples: [],
  load: () => import("../../commands/features.ts"),
};

export const mountsOptions = [] as const;

/** What `crate mounts add` and `crate mounts remove` are called with. */
export type MountsCall = Call<OptionValues<typeof mountsOptions>>;

const mountsPositionals: readonly PositionalTable[] = [
  container,
  {
    name: "FILE",
    required: true,
    variadic: false,
    description: "JSON with mounts as in the OCI config; - is standard input",
  },
];

export const mountsAddTable: CommandTableOf<typeof mountsOptions> = {
  name: "mounts add",
  summary: "Mount in a container that runs",
  usage: "CONTAINER FILE",
  options: mountsOptions,
  positionals: mountsPositionals,
  examples: [{ text: "those of a list", command: "crate mounts add web mounts.json" }],
  load: async () => ({ default: (await import("../../commands/mounts.ts")).add }),
};

export const mountsRemoveTable: CommandTableOf<typeof mountsOptions> = {
  name: "mounts remove",
  summary: "Unmount in a container that runs: of each mount, what lies on its destination",
  usage: "CONTAINER FILE",
  options: mountsOptions,
  positionals: mountsPositionals,
  examples: [{ text: "the same ones", command: "crate mounts remove web mounts.json" }],
  load: async () => ({ default: (await import("../../commands/mounts.ts")).remove }),
};
