import type { OptionValues } from "./table.ts";

/** The options that stand before the command. */
export const globalOptions = [
  {
    long: "root",
    argument: "DIR",
    description: "directory of the containers' state",
    default: "/run/crate",
  },
  {
    long: "config",
    argument: "FILE",
    description: "read this configuration file, after /etc/crate/config.toml and the user's own",
  },
  {
    long: "log",
    argument: "FILE",
    description: "append messages to a file",
    default: "standard error",
  },
  {
    long: "log-format",
    argument: "FORMAT",
    choices: ["text", "json"],
    description: "how to write messages",
    default: "text",
  },
  {
    long: "log-level",
    argument: "LEVEL",
    choices: ["error", "warn", "warning", "info", "debug"],
    description: "how much a message must matter to be written",
    default: "warn",
  },
  { long: "debug", description: "write messages about every step" },
  {
    long: "systemd-cgroup",
    description: "cgroupsPath is SLICE:PREFIX:NAME, for systemd to make",
  },
  {
    long: "cgroup-manager",
    argument: "MANAGER",
    choices: ["cgroupfs", "systemd", "disabled"],
    description: "disabled: containers stay in crate's own group, and device rules do not hold",
    default: "cgroupfs",
  },
  {
    long: "rootless",
    argument: "WHEN",
    choices: ["true", "false", "auto"],
    description:
      "do without a group that may not be made, if nothing is limited; auto: in a user namespace",
    default: "auto",
  },
  {
    long: "criu",
    argument: "PATH",
    description: "criu for checkpoint and restore: a path, or a name in $PATH",
    default: "criu",
  },
  { long: "version", short: "vV", description: "the same as crate version" },
] as const;

/** The values of the options that stand before the command. */
export type Globals = OptionValues<typeof globalOptions>;
