/**
 * The command that copies files between containers and this host.
 *
 * @module
 */
import type { Call, CommandTableOf, OptionValues } from "../table.ts";

export const cpOptions = [
  {
    long: "archive",
    short: "a",
    description:
      "keep owners, set-id bits and capabilities; else a copy is root's in a container, and yours here",
  },
  {
    long: "follow-link",
    short: "L",
    description: "follow a link that SOURCE is, else it is copied",
  },
] as const;

/** What `crate cp` is called with. */
export type CpCall = Call<OptionValues<typeof cpOptions>>;

export const cpTable: CommandTableOf<typeof cpOptions> = {
  name: "cp",
  summary: "Copy files from or to a container, which may have ended",
  usage: "[OPTIONS] SOURCE|- TARGET|-",
  group: "Containers",
  options: cpOptions,
  positionals: [
    {
      name: "SOURCE",
      required: true,
      variadic: false,
      description:
        "CONTAINER:PATH, or a path here; DIR/. is all that is in DIR; - is an archive to read",
    },
    {
      name: "TARGET",
      required: true,
      variadic: false,
      description: "the other; a directory that is there is copied into; - is an archive to write",
    },
  ],
  examples: [
    { text: "out of a container", command: "crate cp web:/etc/passwd ./passwd" },
    { text: "what is in a directory into one", command: "crate cp ./site/. web:/www" },
    { text: "as an archive", command: "crate cp web:/var/log - | tar -tf -" },
  ],
  load: () => import("../../commands/cp.ts"),
};
