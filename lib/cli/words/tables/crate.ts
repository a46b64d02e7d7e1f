/**
 * The commands about crate itself.
 *
 * @module
 */
import type { Call, CommandTableOf, OptionValues } from "../table.ts";

export const configOptions = [
  {
    long: "format",
    argument: "FORMAT",
    choices: ["toml", "json"],
    description: "how to print it",
    default: "toml",
  },
] as const;

/** What `crate config` is called with. */
export type ConfigCall = Call<OptionValues<typeof configOptions>>;

export const configTable: CommandTableOf<typeof configOptions> = {
  name: "config",
  summary: "Print the configuration and where it comes from",
  usage: "[OPTIONS]",
  group: "Crate",
  options: configOptions,
  positionals: [],
  examples: [
    {
      text: "what a file would change",
      command: "crate --config ./config.toml config --format json",
    },
  ],
  load: () => import("../../commands/config.ts"),
};

export const versionOptions = [] as const;

/** What `crate version` is called with. */
export type VersionCall = Call<OptionValues<typeof versionOptions>>;

export const versionTable: CommandTableOf<typeof versionOptions> = {
  name: "version",
  summary: "Print the version",
  usage: "",
  group: "Crate",
  options: versionOptions,
  positionals: [],
  examples: [],
  load: () => import("../../commands/version.ts"),
};
