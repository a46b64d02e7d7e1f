/**
 * The commands on networks, and the ports of containers.
 *
 * @module
 */
import type { Call, CommandTableOf, OptionValues, PositionalTable } from "../table.ts";

const networks: PositionalTable = {
  name: "NETWORK",
  required: true,
  variadic: true,
  description: "names",
};

const one: readonly PositionalTable[] = [
  { name: "NETWORK", required: true, variadic: false, description: "its name" },
  { name: "CONTAINER", required: true, variadic: false, description: "its name, or its beginning" },
];

const module = () => import("../../commands/network.ts");

export const networkCreateOptions = [
  {
    long: "driver",
    short: "d",
    argument: "DRIVER",
    choices: ["bridge", "macvlan", "none"],
    description: "a bridge of its own, or a macvlan on an interface of this host, or no interface",
    default: "bridge",
  },
  {
    long: "subnet",
    argument: "SUBNET",
    repeat: true,
    description: "its addresses, such as 10.91.4.0/24; one of each family",
    default: "free ones",
  },
  {
    long: "gateway",
    argument: "ADDRESS",
    repeat: true,
    description: "the way out; of a bridge, this host's address",
    default: "the first of the subnet",
  },
  { long: "ipv6", description: "IPv6 too, with addresses of its own when none are named" },
  { long: "internal", description: "its containers reach each other and nothing else" },
  { long: "mtu", argument: "BYTES", description: "the largest packet", default: "the kernel's" },
  {
    long: "interface",
    argument: "NAME",
    description: "the bridge's name, or what a macvlan hangs on",
    default: "crateN; of a macvlan, this host's way out",
  },
  {
    long: "label",
    argument: "NAME=VALUE",
    repeat: true,
    description: "note something about it",
  },
] as const;

/** What `crate network create` is called with. */
export type NetworkCreateCall = Call<OptionValues<typeof networkCreateOptions>>;

export const networkCreateTable: CommandTableOf<typeof networkCreateOptions> = {
  name: "network create",
  summary: "Make a network",
  usage: "[OPTIONS] NETWORK",
  options: networkCreateOptions,
  positionals: [{ name: "NETWORK", required: true, variadic: false, description: "its name" }],
  examples: [
    { text: "for containers that need nobody else", command: "crate network create --internal db" },
  ],
  load: async () => ({ default: (await module()).create }),
};

export const networkListOptions = [
  { long: "quiet", short: "q", description: "print the names alone" },
  {
    long: "format",
    argument: "FORMAT",
    choices: ["table", "json"],
    description: "how to print them",
    default: "table",
  },
] as const;

/** What `crate network ls` is called with. */
export type NetworkListCall = Call<OptionValues<typeof networkListOptions>>;

export const networkListTable: CommandTableOf<typeof networkListOptions> = {
  name: "network ls",
  summary: "List the networks",
  usage: "[OPTIONS]",
  options: networkListOptions,
  positionals: [],
  examples: [],
  load: async () => ({ default: (await module()).list }),
};

export const networkInspectOptions = [] as const;

/** What `crate network inspect` is called with. */
export type NetworkInspectCall = Call<OptionValues<typeof networkInspectOptions>>;

export const networkInspectTable: CommandTableOf<typeof networkInspectOptions> = {
  name: "network inspect",
  summary: "Print all about networks, and who is on them, as JSON",
  usage: "NETWORK [NETWORK...]",
  options: networkInspectOptions,
  positionals: [networks],
  examples: [],
  load: async () => ({ default: (await module()).inspect }),
};

export const networkRemoveOptions = [
  { long: "force", short: "f", description: "one that does not exist is fine" },
] as const;

/** What `crate network rm` is called with. */
export type NetworkRemoveCall = Call<OptionValues<typeof networkRemoveOptions>>;

export const networkRemoveTable: CommandTableOf<typeof networkRemoveOptions> = {
  name: "network rm",
  summary: "Remove networks that no container is on",
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  options: networkRemoveOptions,
  positionals: [networks],
  examples: [],
  load: async () => ({ default: (await module()).remove }),
};

export const networkPruneOptions = [
  { long: "force", short: "f", description: "do not ask on a terminal" },
] as const;

/** What `crate network prune` is called with. */
export type NetworkPruneCall = Call<OptionValues<typeof networkPruneOptions>>;

export const networkPruneTable: CommandTableOf<typeof networkPruneOptions> = {
  name: "network prune",
  summary: "Remove all networks that no container is on",
  usage: "[OPTIONS]",
  options: networkPruneOptions,
  positionals: [],
  examples: [],
  load: async () => ({ default: (await module()).prune }),
};

export const networkConnectOptions = [
  { long: "ip", argument: "ADDRESS", description: "its address", default: "the next free one" },
  {
    long: "ip6",
    argument: "ADDRESS",
    description: "its IPv6 address",
    default: "the next free one",
  },
  {
    long: "mac-address",
    argument: "ADDRESS",
    description: "its hardware address",
    default: "made from its address",
  },
  {
    long: "alias",
    argument: "NAME",
    repeat: true,
    description: "another name by which others on the network find it",
  },
] as const;

/** What `crate network connect` is called with. */
export type NetworkConnectCall = Call<OptionValues<typeof networkConnectOptions>>;

export const networkConnectTable: CommandTableOf<typeof networkConnectOptions> = {
  name: "network connect",
  summary: "Put a running container on one more network",
  usage: "[OPTIONS] NETWORK CONTAINER",
  options: networkConnectOptions,
  positionals: one,
  examples: [],
  load: async () => ({ default: (await module()).connect }),
};

export const networkDisconnectOptions = [] as const;

/** What `crate network disconnect` is called with. */
export type NetworkDisconnectCall = Call<OptionValues<typeof networkDisconnectOptions>>;

export const networkDisconnectTable: CommandTableOf<typeof networkDisconnectOptions> = {
  name: "network disconnect",
  summary: "Take a running container off a network",
  usage: "NETWORK CONTAINER",
  options: networkDisconnectOptions,
  positionals: one,
  examples: [],
  load: async () => ({ default: (await module()).disconnect }),
};

export const portOptions = [] as const;

/** What `crate port` is called with. */
export type PortCall = Call<OptionValues<typeof portOptions>>;

export const portTable: CommandTableOf<typeof portOptions> = {
  name: "port",
  summary: "Show which ports of this host lead to a container",
  usage: "CONTAINER [PORT[/PROTOCOL]]",
  group: "Containers",
  options: portOptions,
  positionals: [
    {
      name: "CONTAINER",
      required: true,
      variadic: false,
      description: "its name, or its beginning",
    },
    {
      name: "PORT",
      required: false,
      variadic: false,
      description: "of the container, this one alone",
    },
  ],
  examples: [{ text: "where port 80 is", command: "crate port web 80/tcp" }],
  load: () => import("../../commands/port.ts"),
};
