/**
 * The commands on images. Small tables, in one file because every file costs the start-up of every command.
 *
 * @module
 */
import type { Call, CommandTableOf, OptionValues, PositionalTable } from "../table.ts";

const image: PositionalTable = {
  name: "IMAGE",
  required: true,
  variadic: false,
  description: "name, such as alpine:3.20, or id",
};

const images: PositionalTable = {
  name: "IMAGE",
  required: true,
  variadic: true,
  description: "names or ids",
};

export const pushOptions = [
  { long: "quiet", short: "q", description: "print the image's digest alone" },
  {
    long: "platform",
    argument: "OS/ARCH",
    description: "of an image for several machines, that one alone",
    default: "all that are in the store",
  },
  {
    long: "insecure-registry",
    argument: "HOST[:PORT]",
    repeat: true,
    description: "speak plain HTTP with a registry that has nothing better",
  },
] as const;

/** What `crate push` is called with. */
export type PushCall = Call<OptionValues<typeof pushOptions>>;

export const pushTable: CommandTableOf<typeof pushOptions> = {
  name: "push",
  summary: "Send an image to a registry",
  usage: "[OPTIONS] IMAGE [NAME]",
  group: "Images",
  options: pushOptions,
  positionals: [
    image,
    { name: "NAME", required: false, variadic: false, description: "what it is called there" },
  ],
  examples: [
    { text: "by its own name", command: "crate push registry.example/alpine:1" },
    { text: "by another one", command: "crate push alpine registry.example/alpine:1" },
  ],
  load: () => import("../../commands/push.ts"),
};

export const imagesOptions = [
  { long: "quiet", short: "q", description: "print ids only" },
  { long: "no-trunc", description: "print ids in full" },
  {
    long: "format",
    short: "f",
    argument: "FORMAT",
    choices: ["table", "json"],
    description: "how to print them",
    default: "table",
  },
] as const;

/** What `crate images` is called with. */
export type ImagesCall = Call<OptionValues<typeof imagesOptions>>;

export const imagesTable: CommandTableOf<typeof imagesOptions> = {
  name: "images",
  summary: "List the images in the store",
  usage: "[OPTIONS]",
  group: "Images",
  options: imagesOptions,
  positionals: [],
  examples: [{ text: "for a program to read", command: "crate images --format json" }],
  load: () => import("../../commands/images.ts"),
};

export const rmiOptions = [
  {
    long: "force",
    short: "f",
    description: "take all names of an image, and those of one that a container uses",
  },
] as const;

/** What `crate rmi` is called with. */
export type RmiCall = Call<OptionValues<typeof rmiOptions>>;

export const rmiTable: CommandTableOf<typeof rmiOptions> = {
  name: "rmi",
  summary: "Remove images, or names of images",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  group: "Images",
  options: rmiOptions,
  positionals: [images],
  examples: [{ text: "one of them", command: "crate rmi alpine:3.20" }],
  load: () => import("../../commands/rmi.ts"),
};

export const tagOptions = [] as const;

/** What `crate tag` is called with. */
export type TagCall = Call<OptionValues<typeof tagOptions>>;

export const tagTable: CommandTableOf<typeof tagOptions> = {
  name: "tag",
  summary: "Give an image one more name",
  usage: "IMAGE NAME",
  group: "Images",
  options: tagOptions,
  positionals: [
    image,
    { name: "NAME", required: true, variadic: false, description: "the new name" },
  ],
  examples: [
    { text: "for a registry of one's own", command: "crate tag alpine registry.example/alpine:1" },
  ],
  load: () => import("../../commands/tag.ts"),
};

export const historyOptions = [
  { long: "no-trunc", description: "print commands and ids in full" },
] as const;

/** What `crate history` is called with. */
export type HistoryCall = Call<OptionValues<typeof historyOptions>>;

export const historyTable: CommandTableOf<typeof historyOptions> = {
  name: "history",
  summary: "Show how an image came to be",
  usage: "[OPTIONS] IMAGE",
  group: "Images",
  options: historyOptions,
  positionals: [image],
  examples: [{ text: "the newest step first", command: "crate history alpine" }],
  load: () => import("../../commands/history.ts"),
};

const ofPlatform = {
  long: "platform",
  argument: "OS/ARCH",
  description: "of an image for several machines, that one",
  default: "this machine's",
} as const;

export const inspectOptions = [
  {
    long: "type",
    argument: "TYPE",
    choices: ["container", "image"],
    description: "look for these alone",
  },
  ofPlatform,
] as const;

/** What `crate inspect` is called with. */
export type InspectCall = Call<OptionValues<typeof inspectOptions>>;

export const inspectTable: CommandTableOf<typeof inspectOptions> = {
  name: "inspect",
  summary: "Print all about containers or images as JSON",
  usage: "[OPTIONS] NAME [NAME...]",
  group: "Images",
  options: inspectOptions,
  positionals: [
    {
      name: "NAME",
      required: true,
      variadic: true,
      description: "names or ids; a container's comes before an image's",
    },
  ],
  examples: [
    { text: "what it runs", command: "crate inspect alpine | jq -c '.[0].Config.Cmd'" },
  ],
  load: () => import("../../commands/inspect.ts"),
};

export const imageInspectOptions = [ofPlatform] as const;

/** What `crate image inspect` is called with. */
export type ImageInspectCall = Call<OptionValues<typeof imageInspectOptions>>;

export const imageInspectTable: CommandTableOf<typeof imageInspectOptions> = {
  name: "image inspect",
  summary: "Print all about images as JSON",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  options: imageInspectOptions,
  positionals: [images],
  examples: [],
  load: async () => ({ default: (await import("../../commands/inspect.ts")).inspectImages }),
};

export const containerInspectOptions = [] as const;

/** What `crate container inspect` is called with. */
export type ContainerInspectCall = Call<OptionValues<typeof containerInspectOptions>>;

export const containerInspectTable: CommandTableOf<typeof containerInspectOptions> = {
  name: "container inspect",
  summary: "Print all about containers as JSON",
  usage: "CONTAINER [CONTAINER...]",
  options: containerInspectOptions,
  positionals: [
    { name: "CONTAINER", required: true, variadic: true, description: "names or ids" },
  ],
  examples: [],
  load: async () => ({ default: (await import("../../commands/inspect.ts")).inspectContainers }),
};

export const pruneOptions = [
  { long: "all", short: "a", description: "those with a name too, when no container uses them" },
  { long: "force", short: "f", description: "do not ask on a terminal" },
] as const;

/** What `crate prune` is called with. */
export type PruneCall = Call<OptionValues<typeof pruneOptions>>;

export const pruneTable: CommandTableOf<typeof pruneOptions> = {
  name: "prune",
  summary: "Remove images without a name, and what pulls have left",
  usage: "[OPTIONS]",
  group: "Images",
  options: pruneOptions,
  positionals: [],
  examples: [{ text: "all that no container uses", command: "crate prune --all" }],
  load: () => import("../../commands/prune.ts"),
};

const registry: PositionalTable = {
  name: "REGISTRY",
  required: false,
  variadic: false,
  description: "its host; without one docker.io",
};

export const loginOptions = [
  { long: "username", short: "u", argument: "NAME", description: "the user's name" },
  { long: "password-stdin", description: "read the password, or a token, from standard input" },
  {
    long: "insecure-registry",
    argument: "HOST[:PORT]",
    repeat: true,
    description: "speak plain HTTP with a registry that has nothing better",
  },
] as const;

/** What `crate login` is called with. */
export type LoginCall = Call<OptionValues<typeof loginOptions>>;

export const loginTable: CommandTableOf<typeof loginOptions> = {
  name: "login",
  summary: "Keep a password for a registry, as docker does",
  usage: "[OPTIONS] [REGISTRY]",
  group: "Images",
  options: loginOptions,
  positionals: [registry],
  examples: [
    {
      text: "with a token from a file",
      command: "crate login -u me --password-stdin registry.example",
    },
  ],
  load: () => import("../../commands/login.ts"),
};

export const logoutOptions = [] as const;

/** What `crate logout` is called with. */
export type LogoutCall = Call<OptionValues<typeof logoutOptions>>;

export const logoutTable: CommandTableOf<typeof logoutOptions> = {
  name: "logout",
  summary: "Forget a registry's password",
  usage: "[REGISTRY]",
  group: "Images",
  options: logoutOptions,
  positionals: [registry],
  examples: [],
  load: () => import("../../commands/logout.ts"),
};

export const dfOptions = [] as const;

/** What `crate df` is called with. */
export type DfCall = Call<OptionValues<typeof dfOptions>>;

export const dfTable: CommandTableOf<typeof dfOptions> = {
  name: "df",
  summary: "Show what the image store takes on the disk",
  usage: "",
  group: "Images",
  options: dfOptions,
  positionals: [],
  examples: [],
  load: () => import("../../commands/df.ts"),
};
