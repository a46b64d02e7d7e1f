import type { Call, CommandTableOf, OptionValues } from "../table.ts";

export const pullOptions = [
  { long: "quiet", short: "q", description: "print the image's digest alone" },
  {
    long: "platform",
    argument: "OS/ARCH",
    description: "pull the image for another machine, such as linux/arm64",
    default: "this machine's",
  },
  {
    long: "insecure-registry",
    argument: "HOST[:PORT]",
    repeat: true,
    description: "speak plain HTTP with a registry that has nothing better",
  },
] as const;

/** What `crate pull` is called with. */
export type PullCall = Call<OptionValues<typeof pullOptions>>;

export const pullTable: CommandTableOf<typeof pullOptions> = {
  name: "pull",
  summary: "Fetch images from registries",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  group: "Images",
  options: pullOptions,
  positionals: [
    { name: "IMAGE", required: true, variadic: true, description: "names or ids" },
  ],
  examples: [
    { text: "from Docker Hub", command: "crate pull alpine" },
    { text: "from another registry", command: "crate pull quay.io/podman/hello:latest" },
  ],
  load: () => import("../../commands/pull.ts"),
};
