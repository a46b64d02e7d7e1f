/**
 * The commands that criu carries out: words as runc has them.
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

const imagePath = {
  long: "image-path",
  argument: "DIR",
  description: "directory of criu's images",
  default: "checkpoint",
} as const;

const workPath = {
  long: "work-path",
  argument: "DIR",
  description: "directory of criu's logs",
  default: "that of --image-path",
} as const;

const tcpEstablished = {
  long: "tcp-established",
  description: "keep open TCP connections, which are refused otherwise",
} as const;

const extUnixSk = {
  long: "ext-unix-sk",
  description: "keep Unix sockets that are connected to processes outside",
} as const;

const shellJob = {
  long: "shell-job",
  description: "for a container on a terminal of the caller's, a job of its shell",
} as const;

const fileLocks = { long: "file-locks", description: "keep locks of files" } as const;

const autoDedup = {
  long: "auto-dedup",
  description: "remove from older images what newer ones have",
} as const;

const manageCgroupsMode = {
  long: "manage-cgroups-mode",
  argument: "MODE",
  choices: ["soft", "full", "strict", "ignore"],
  description: "how criu keeps groups; soft: settings of those that it has to make only",
  default: "soft",
} as const;

const emptyNs = {
  long: "empty-ns",
  argument: "TYPE",
  repeat: true,
  description:
    "restore a namespace empty, for somebody else to fill; network is the one that can be",
} as const;

export const checkpointOptions = [
  imagePath,
  workPath,
  {
    long: "parent-path",
    argument: "DIR",
    description:
      "images of a --pre-dump, relative to --image-path: only what has changed is written",
  },
  { long: "leave-running", description: "let the container go on" },
  tcpEstablished,
  {
    long: "tcp-skip-in-flight",
    description: "leave out TCP connections that are being made",
  },
  { long: "link-remap", description: "keep files open that have lost one of their names" },
  extUnixSk,
  shellJob,
  {
    long: "lazy-pages",
    description: "serve memory to criu lazy-pages, instead of writing it",
  },
  {
    long: "status-fd",
    argument: "FD",
    description: "write a zero byte to a descriptor when --lazy-pages can be fetched",
  },
  {
    long: "page-server",
    argument: "ADDRESS:PORT",
    description: "send memory to a criu page-server; with --lazy-pages: where to serve it",
  },
  fileLocks,
  { long: "pre-dump", description: "write memory only, and let the container go on" },
  manageCgroupsMode,
  emptyNs,
  autoDedup,
] as const;

/** What `crate checkpoint` is called with. */
export type CheckpointCall = Call<OptionValues<typeof checkpointOptions>>;

export const checkpointTable: CommandTableOf<typeof checkpointOptions> = {
  name: "checkpoint",
  summary: "Write a running container's processes into images, and end it",
  usage: "[OPTIONS] CONTAINER",
  group: "Containers",
  options: checkpointOptions,
  positionals: [container],
  examples: [
    { text: "then crate restore", command: "crate checkpoint --image-path /var/web web" },
  ],
  load: () => import("../../commands/checkpoint.ts"),
};

export const restoreOptions = [
  {
    long: "bundle",
    short: "b",
    argument: "DIR",
    description: "directory of the OCI bundle",
    default: "the container's own, or the working directory",
  },
  imagePath,
  workPath,
  { long: "detach", short: "d", description: "return when it runs, and not when it has ended" },
  {
    long: "console-socket",
    argument: "SOCKET",
    description: "where somebody takes the console, when the process has one",
  },
  {
    long: "pid-file",
    argument: "FILE",
    description: "write the process id, as the host sees it, to a file",
  },
  {
    long: "no-pivot",
    description: "refused: criu knows no other way than pivot_root",
  },
  {
    long: "no-subreaper",
    description: "as it is: crate never adopts a container's orphans",
  },
  tcpEstablished,
  extUnixSk,
  shellJob,
  {
    long: "lazy-pages",
    description: "fetch memory when it is needed, from criu lazy-pages",
  },
  fileLocks,
  manageCgroupsMode,
  emptyNs,
  autoDedup,
  {
    long: "lsm-profile",
    argument: "TYPE:NAME",
    description: "another profile of AppArmor or label of SELinux for its processes",
  },
  {
    long: "lsm-mount-context",
    argument: "CONTEXT",
    description: "another SELinux label for its mounts",
  },
] as const;

/** What `crate restore` is called with. */
export type RestoreCall = Call<OptionValues<typeof restoreOptions>>;

export const restoreTable: CommandTableOf<typeof restoreOptions> = {
  name: "restore",
  summary: "Let a container go on from the images of a checkpoint",
  usage: "[OPTIONS] CONTAINER",
  group: "Containers",
  options: restoreOptions,
  positionals: [container],
  examples: [
    {
      text: "where it was",
      command: "crate restore --detach --image-path /var/web web",
    },
  ],
  load: () => import("../../commands/restore.ts"),
};
