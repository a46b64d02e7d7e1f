/**
 * The commands on volumes with names.
 *
 * @module
 */
import type { Call, CommandTableOf, OptionValues, PositionalTable } from "../table.ts";

const volumes: PositionalTable = {
  name: "VOLUME",
  required: true,
  variadic: true,
  description: "names",
};

const module = () => import("../../commands/volume.ts");

export const volumeCreateOptions = [
  {
    long: "label",
    short: "l",
    argument: "NAME=VALUE",
    repeat: true,
    description: "note something about it",
  },
] as const;

/** What `crate volume create` is called with. */
export type VolumeCreateCall = Call<OptionValues<typeof volumeCreateOptions>>;

export const volumeCreateTable: CommandTableOf<typeof volumeCreateOptions> = {
  name: "volume create",
  summary: "Make a volume; one that is there stays as it is",
  usage: "[OPTIONS] [NAME]",
  options: volumeCreateOptions,
  positionals: [
    { name: "NAME", required: false, variadic: false, description: "random when there is none" },
  ],
  examples: [{ text: "for a container", command: "crate volume create data" }],
  load: async () => ({ default: (await module()).create }),
};

export const volumeListOptions = [
  { long: "quiet", short: "q", description: "print the names alone" },
  {
    long: "format",
    argument: "FORMAT",
    choices: ["table", "json"],
    description: "how to print them",
    default: "table",
  },
] as const;

/** What `crate volume ls` is called with. */
export type VolumeListCall = Call<OptionValues<typeof volumeListOptions>>;

export const volumeListTable: CommandTableOf<typeof volumeListOptions> = {
  name: "volume ls",
  summary: "List the volumes",
  usage: "[OPTIONS]",
  options: volumeListOptions,
  positionals: [],
  examples: [],
  load: async () => ({ default: (await module()).list }),
};

export const volumeInspectOptions = [] as const;

/** What `crate volume inspect` is called with. */
export type VolumeInspectCall = Call<OptionValues<typeof volumeInspectOptions>>;

export const volumeInspectTable: CommandTableOf<typeof volumeInspectOptions> = {
  name: "volume inspect",
  summary: "Print all about volumes as JSON",
  usage: "VOLUME [VOLUME...]",
  options: volumeInspectOptions,
  positionals: [volumes],
  examples: [
    { text: "where it is", command: "crate volume inspect data | jq -r '.[0].Mountpoint'" },
  ],
  load: async () => ({ default: (await module()).inspect }),
};

export const volumeRemoveOptions = [
  { long: "force", short: "f", description: "one that does not exist is fine" },
] as const;

/** What `crate volume rm` is called with. */
export type VolumeRemoveCall = Call<OptionValues<typeof volumeRemoveOptions>>;

export const volumeRemoveTable: CommandTableOf<typeof volumeRemoveOptions> = {
  name: "volume rm",
  summary: "Remove volumes that no container uses, with all that is in them",
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  options: volumeRemoveOptions,
  positionals: [volumes],
  examples: [],
  load: async () => ({ default: (await module()).remove }),
};

export const volumePruneOptions = [
  { long: "all", short: "a", description: "those with a name of somebody's, too" },
  { long: "force", short: "f", description: "do not ask on a terminal" },
] as const;

/** What `crate volume prune` is called with. */
export type VolumePruneCall = Call<OptionValues<typeof volumePruneOptions>>;

export const volumePruneTable: CommandTableOf<typeof volumePruneOptions> = {
  name: "volume prune",
  summary: "Remove volumes that nobody named and no container uses, with all that is in them",
  usage: "[OPTIONS]",
  options: volumePruneOptions,
  positionals: [],
  examples: [{ text: "all that no container uses", command: "crate volume prune --all" }],
  load: async () => ({ default: (await module()).prune }),
};
