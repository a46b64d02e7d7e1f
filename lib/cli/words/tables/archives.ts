/**
 * The commands that make files of images and containers, and images of files and containers.
 *
 * @module
 */
import type { Call, CommandTableOf, OptionValues } from "../table.ts";

export const saveOptions = [
  {
    long: "output",
    short: "o",
    argument: "FILE",
    description: "write to a file",
    default: "standard output",
  },
  {
    long: "format",
    argument: "FORMAT",
    choices: ["docker-archive", "oci-archive"],
    description: "what reads it: docker load and podman, or tools for OCI layouts",
    default: "docker-archive",
  },
  {
    long: "platform",
    argument: "OS/ARCH",
    description: "of images for several machines, that one",
    default: "this machine's; of an oci-archive all that are in the store",
  },
] as const;

/** What `crate save` is called with. */
export type SaveCall = Call<OptionValues<typeof saveOptions>>;

export const saveTable: CommandTableOf<typeof saveOptions> = {
  name: "save",
  summary: "Write images to an archive",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  group: "Images",
  options: saveOptions,
  positionals: [
    { name: "IMAGE", required: true, variadic: true, description: "names or ids" },
  ],
  examples: [
    { text: "to a file", command: "crate save -o alpine.tar alpine" },
    { text: "to another machine", command: "crate save alpine | ssh host crate load" },
  ],
  load: () => import("../../commands/save.ts"),
};

export const loadOptions = [
  {
    long: "input",
    short: "i",
    argument: "FILE",
    description: "read from a file",
    default: "standard input",
  },
  { long: "quiet", short: "q", description: "show no progress" },
  {
    long: "platform",
    argument: "OS/ARCH",
    description: "of images for several machines, that one",
    default: "this machine's",
  },
] as const;

/** What `crate load` is called with. */
export type LoadCall = Call<OptionValues<typeof loadOptions>>;

export const loadTable: CommandTableOf<typeof loadOptions> = {
  name: "load",
  summary: "Read images from an archive, of docker save or of an OCI layout",
  usage: "[OPTIONS]",
  group: "Images",
  options: loadOptions,
  positionals: [],
  examples: [{ text: "from docker", command: "docker save alpine | crate load" }],
  load: () => import("../../commands/load.ts"),
};

export const importOptions = [
  {
    long: "change",
    short: "c",
    argument: "INSTRUCTION",
    repeat: true,
    description: "what the image starts with, as in a Dockerfile: 'CMD [\"/bin/sh\"]'",
  },
  { long: "message", short: "m", argument: "TEXT", description: "a comment in its history" },
  {
    long: "platform",
    argument: "OS/ARCH",
    description: "the machine it is for",
    default: "this machine's",
  },
  { long: "quiet", short: "q", description: "show no progress" },
] as const;

/** What `crate import` is called with. */
export type ImportCall = Call<OptionValues<typeof importOptions>>;

export const importTable: CommandTableOf<typeof importOptions> = {
  name: "import",
  summary: "Make an image of an archive of a root filesystem",
  usage: "[OPTIONS] FILE|- [NAME]",
  group: "Images",
  options: importOptions,
  positionals: [
    {
      name: "FILE",
      required: true,
      variadic: false,
      description: "a tar archive, plain, gzip or zstd; - is standard input",
    },
    { name: "NAME", required: false, variadic: false, description: "what the image is called" },
  ],
  examples: [
    { text: "of what debootstrap made", command: "crate import rootfs.tar.gz mine:1" },
  ],
  load: () => import("../../commands/import.ts"),
};

const container = {
  name: "CONTAINER",
  required: true,
  variadic: false,
  description: "name or id",
} as const;

export const exportOptions = [
  {
    long: "output",
    short: "o",
    argument: "FILE",
    description: "write to a file",
    default: "standard output",
  },
] as const;

/** What `crate export` is called with. */
export type ExportCall = Call<OptionValues<typeof exportOptions>>;

export const exportTable: CommandTableOf<typeof exportOptions> = {
  name: "export",
  summary: "Write a container's root filesystem to an archive",
  usage: "[OPTIONS] CONTAINER",
  group: "Containers",
  options: exportOptions,
  positionals: [container],
  examples: [{ text: "to a file", command: "crate export -o rootfs.tar web" }],
  load: () => import("../../commands/export.ts"),
};

export const commitOptions = [
  {
    long: "change",
    short: "c",
    argument: "INSTRUCTION",
    repeat: true,
    description: "what the image starts with, as in a Dockerfile: 'CMD [\"/bin/sh\"]'",
  },
  { long: "author", short: "a", argument: "TEXT", description: "who made it" },
  { long: "message", short: "m", argument: "TEXT", description: "a comment in its history" },
  { long: "pause", short: "p", description: "stop the container's processes meanwhile" },
  { long: "quiet", short: "q", description: "show no progress" },
] as const;

/** What `crate commit` is called with. */
export type CommitCall = Call<OptionValues<typeof commitOptions>>;

export const commitTable: CommandTableOf<typeof commitOptions> = {
  name: "commit",
  summary: "Make an image of what a container of an image has changed",
  usage: "[OPTIONS] CONTAINER [NAME]",
  group: "Containers",
  options: commitOptions,
  positionals: [
    container,
    { name: "NAME", required: false, variadic: false, description: "what the image is called" },
  ],
  examples: [{ text: "under a name", command: "crate commit web mine:2" }],
  load: () => import("../../commands/commit.ts"),
};

export const diffOptions = [] as const;

/** What `crate diff` is called with. */
export type DiffCall = Call<OptionValues<typeof diffOptions>>;

export const diffTable: CommandTableOf<typeof diffOptions> = {
  name: "diff",
  summary: "List what a container has added (A), changed (C) and deleted (D)",
  usage: "CONTAINER",
  group: "Containers",
  options: diffOptions,
  positionals: [container],
  examples: [{ text: "since its start", command: "crate diff web" }],
  load: () => import("../../commands/diff.ts"),
};
