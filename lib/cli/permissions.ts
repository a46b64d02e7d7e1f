/**
 * What each command needs of Deno: the union of what the rooms that it enters need, each in its own
 * `permissions.ts`. The permission sets in `deno.json` are made from this, which a test holds. Nothing
 * that runs containers imports it.
 *
 * @module
 */
import { arch, LIBC_PATHS } from "../../ffi/mod.ts";
import { permissions as cgroup } from "../cgroup/permissions.ts";
import { permissions as configuration } from "../config/permissions.ts";
import { CrateError } from "../errors.ts";
import { DEFAULT_ROOT } from "../lifecycle/mod.ts";
import { permissions as image, registryFiles } from "../image/permissions.ts";
import { permissions as overlay } from "../overlay/permissions.ts";
import { permissions as network } from "../network/permissions.ts";
import { permissions as netlink } from "../netlink/permissions.ts";
import { permissions as lifecycle } from "../lifecycle/permissions.ts";
import { permissions as security } from "../security/permissions.ts";
import { permissions as spec } from "../spec/permissions.ts";

/** Permissions as `deno.json` writes them; what is left out is not given. */
export interface PermissionSet {
  readonly read?: readonly string[];
  readonly write?: readonly string[];
  /** All of it: a name that begins with `CRATE_` and is not known is an error, `--env` passes any. */
  readonly env?: true;
  /** Names of Deno's functions. */
  readonly sys?: readonly string[];
  readonly ffi?: readonly string[];
  /** All hosts. */
  readonly net?: true;
  /** Programs. */
  readonly run?: readonly string[];
}

/** The user's own files and directories that a command line or the configuration names. */
export interface Places {
  /** `--root`. */
  readonly root: string;
  /** The system's configuration file, the user's, and what `--config` names. */
  readonly configFiles: readonly string[];
  /** `--log`. */
  readonly log?: string;
  /** Each `--env-file`. */
  readonly envFiles?: readonly string[];
  /** The file of `--security-opt seccomp=FILE`. */
  readonly seccompProfile?: string;
  /** `--cidfile` and `--pid-file`: removed again when the container does not start. */
  readonly cidfile?: string;
  readonly pidFile?: string;
  /** With credentials and certificates of registries. */
  readonly registryFiles?: readonly string[];
}

/** Where things are when nobody says otherwise, for root. */
export const DEFAULT_PLACES: Places = {
  root: DEFAULT_ROOT,
  configFiles: ["/etc/crate/config.toml", "/root/.config/crate/config.toml"],
  registryFiles: registryFiles((name) => name === "HOME" ? "/root" : undefined),
};

type Needs = (places: Places) => readonly PermissionSet[];

const list = (...paths: readonly (string | undefined)[]) =>
  paths.filter((path) => path !== undefined);

/** Every command but `version` reads the configuration, and may write messages to a file. */
const start: Needs = ({ configFiles, log }) => [
  configuration(configFiles),
  { env: true, ffi: LIBC_PATHS, write: list(log) },
];

const onContainers: Needs = (places) => [...start(places), lifecycle, cgroup, spec];

const onContainersToStart: Needs = (places) => [...onContainers(places), security];

const ofProcesses: Needs = (places) => [
  ...onContainers(places),
  security,
  { read: places.envFiles },
];

/** The store is reached by system calls. */
const onStore: Needs = start;

const onNetworks: Needs = (places) => [...onContainers(places), netlink, network];

const onBoth: Needs = (places) => [...onContainers(places), overlay];

const onRegistries: Needs = (places) => [...start(places), image(places.registryFiles ?? [])];

const NEEDS = {
  // An image must be there: one that is not is pulled with what pull has.
  run: (places) => [
    ...ofProcesses(places),
    overlay,
    netlink,
    network,
    {
      sys: ["uid"],
      read: list(places.seccompProfile),
      write: list(places.cidfile, places.pidFile),
    },
  ],
  exec: ofProcesses,
  create: onContainersToStart,
  checkpoint: onContainersToStart,
  restore: onContainersToStart,
  ps: onContainers,
  update: onContainers,
  events: onContainers,
  features: (places) => [...start(places), security],
  list: onContainers,
  state: onContainers,
  logs: (places) => [...onContainers(places), { read: [places.root] }],
  top: onContainers,
  stats: onContainers,
  wait: onContainers,
  pause: onContainers,
  rename: onNetworks,
  resume: onContainers,
  stop: onContainers,
  start: (places) => [...onContainersToStart(places), netlink, network],
  restart: (places) => [...onContainersToStart(places), netlink, network],
  kill: onContainers,
  delete: onContainers,
  cp: onBoth,
  diff: onBoth,
  commit: onBoth,
  export: onBoth,
  pull: onRegistries,
  push: onRegistries,
  save: onStore,
  load: onStore,
  import: onStore,
  images: onStore,
  inspect: onContainers,
  history: onStore,
  tag: onStore,
  rmi: onStore,
  // Of containers, too: `crate container prune`.
  prune: onContainers,
  df: onContainers,
  system: onNetworks,
  volume: onStore,
  network: onNetworks,
  port: onNetworks,
  mounts: onContainers,
  login: onRegistries,
  logout: onRegistries,
  spec: (places) => [...onContainers(places), security],
  config: start,
  version: () => [],
} satisfies Record<string, Needs>;

/** A command's name, as in the table of commands; or a group's whose commands are in no other place. */
export type CommandName = keyof typeof NEEDS;

/** Every command's name. */
export const COMMAND_NAMES = Object.keys(NEEDS) as readonly CommandName[];

/**
 * The permissions that a command needs, and no more.
 *
 * @example
 * ```ts
 * import { permissionsOf } from "./permissions.ts";
 * const { sys, read } = permissionsOf("run", { root: "/run/crate", configFiles: ["/etc/c.toml"] });
 * if (sys?.[0] !== "uid" || read?.[0] !== "/etc/c.toml") throw new Error();
 * ```
 */
export function permissionsOf(
  command: CommandName,
  places: Places = DEFAULT_PLACES,
): PermissionSet {
  const needs: readonly PermissionSet[] = NEEDS[command](places);
  const union = (name: "read" | "write" | "sys" | "ffi") => {
    const all = [...new Set(needs.flatMap((need) => need[name] ?? []))];
    return all.length === 0 ? {} : { [name]: all };
  };
  return {
    ...union("read"),
    ...union("write"),
    ...(needs.some(({ env }) => env) ? { env: true } : {}),
    ...(needs.some(({ net }) => net) ? { net: true } : {}),
    ...union("sys"),
    ...union("ffi"),
  };
}

/**
 * The same as flags of `deno run`. Never a prompt: nobody may be there to answer.
 *
 * @throws {CrateError} `INVALID` for a path with a comma.
 *
 * @example
 * ```ts
 * import { permissionFlags } from "./permissions.ts";
 * const flags = permissionFlags({ env: true, sys: ["uid"] });
 * if (flags.join(" ") !== "--no-prompt --allow-env --allow-sys=uid") throw new Error();
 * ```
 */
export function permissionFlags(set: PermissionSet): string[] {
  const flags = Object.entries(set).map(([name, value]: [string, true | readonly string[]]) => {
    if (value === true) return `--allow-${name}`;
    const divided = value.find((each) => each.includes(","));
    if (divided !== undefined) {
      throw new CrateError(
        "INVALID",
        `${divided}: Deno's flags cannot name a path with a comma, a set in deno.json can`,
      );
    }
    return `--allow-${name}=${value.join(",")}`;
  });
  return ["--no-prompt", ...flags];
}

const MACHINES = ["x86_64", "aarch64"] as const;

/** The sets of `deno.json`, one for each command: with the default places, for both machines. */
export function permissionSets(): Record<string, PermissionSet> {
  const everywhere = (path: string) => MACHINES.map((machine) => path.replace(arch, machine));
  return Object.fromEntries(COMMAND_NAMES.map((command) => {
    const { ffi, ...rest } = permissionsOf(command);
    const paths = ffi && { ffi: [...new Set(ffi.flatMap(everywhere))].sort() };
    return [command, { ...rest, ...paths }];
  }));
}
