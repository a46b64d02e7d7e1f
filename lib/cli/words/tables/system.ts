/**
 * The commands that remove what nobody needs of several kinds, and docker's names for what is about all of crate.
 *
 * @module
 */
import type { Call, CommandTableOf, OptionValues } from "../table.ts";
import { dfOptions, dfTable } from "./images.ts";

const force = { long: "force", short: "f", description: "do not ask on a terminal" } as const;

export const containerPruneOptions = [
  force,
  {
    long: "filter",
    argument: "until=TIME",
    repeat: true,
    description: "only those made before a time (2026-01-31T12:00:00Z) or so long ago (24h)",
  },
] as const;

/** What `crate container prune` is called with. */
export type ContainerPruneCall = Call<OptionValues<typeof containerPruneOptions>>;

export const containerPruneTable: CommandTableOf<typeof containerPruneOptions> = {
  name: "container prune",
  summary: "Delete all containers that have ended, but for those of engines",
  usage: "[OPTIONS]",
  options: containerPruneOptions,
  positionals: [],
  examples: [
    {
      text: "those made more than a day ago",
      command: "crate container prune --filter until=24h",
    },
  ],
  load: () => import("../../commands/container_prune.ts"),
};

export const systemPruneOptions = [
  { long: "all", short: "a", description: "images with a name too, when no container uses them" },
  { long: "volumes", description: "volumes that nobody named, too, with all that is in them" },
  force,
] as const;

/** What `crate system prune` is called with. */
export type SystemPruneCall = Call<OptionValues<typeof systemPruneOptions>>;

export const systemPruneTable: CommandTableOf<typeof systemPruneOptions> = {
  name: "system prune",
  summary: "Remove containers that have ended, unused networks, and images without a name",
  usage: "[OPTIONS]",
  options: systemPruneOptions,
  positionals: [],
  examples: [{ text: "all that can be had again", command: "crate system prune --all" }],
  load: () => import("../../commands/system_prune.ts"),
};

export const systemDfTable: CommandTableOf<typeof dfOptions> = { ...dfTable, name: "system df" };
