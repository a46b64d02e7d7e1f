import { AT_FDCWD, type Cell, OPEN_TREE_CLOEXEC, valueOf } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { HostFacts } from "./input.ts";
import type { MountOptions } from "./mount_options.ts";
import { makeFilesystem, setAttributes } from "./filesystem.ts";
import type { Scope } from "./scope.ts";

type Data = MountOptions["data"];

/** A string of fsconfig(2), without its NUL. */
const MAX_STRING = 255;
/** All options of mount(2) together, without the NUL: a page, on any machine. */
const MAX_PAGE = 4095;
/** The options that hold paths. */
const PATHS = ["lowerdir", "upperdir", "workdir"];

/**
 * How an overlay is mounted: its options one by one; more, or longer ones, all in one call of mount(2),
 * from the directory that their paths have in common; more than a page of them, layer by layer.
 */
export type OverlayWay = "options" | "page" | "layers";

/** An overlay's options as mount(2) takes them, below the directory that their paths share. */
function page(data: Data): { directory: string; text: string } {
  const paths = data.flatMap(([key, value = ""]) => PATHS.includes(key) ? value.split(":") : []);
  const relative = paths.every((path) => path.startsWith("/") && path.length > 1);
  let directory = relative ? paths[0]!.slice(0, paths[0]!.lastIndexOf("/")) : "";
  while (directory !== "" && !paths.every((path) => path.startsWith(`${directory}/`))) {
    directory = directory.slice(0, directory.lastIndexOf("/"));
  }
  const short = (path: string) => directory === "" ? path : path.slice(directory.length + 1);
  const text = data.map(([key, value]) => {
    if (value === undefined) return key;
    return `${key}=${PATHS.includes(key) ? value.split(":").map(short).join(":") : value}`;
  }).join(",");
  return { directory, text };
}

/** Which way the options of an overlay go to the kernel. */
export function overlayWay(data: Data): OverlayWay {
  const short = data.every(([, value = ""]) => value.length <= MAX_STRING);
  if (short && data.length <= 3) return "options";
  // Whole words only: an escaped colon is no end of a path. The kernel says if they are too long.
  if (data.some(([, value = ""]) => value.includes("\\"))) return "options";
  // mount(2) would read a comma as the end of an option.
  if (data.some(([, value = ""]) => value.includes(","))) return short ? "options" : "layers";
  return page(data).text.length <= MAX_PAGE ? "page" : short ? "options" : "layers";
}

/**
 * Mounts an overlay.
 *
 * @param at an existing directory's absolute path: where the overlay is attached when this has to be
 *   one call; else that is left to the caller.
 * @returns the register of the mount's descriptor, and whether it is attached.
 * @throws {CrateError} `UNSUPPORTED`: more layers than this kernel can be told of.
 */
export function mountOverlay(
  s: Scope,
  facts: HostFacts,
  { at, source, data, attributes, label }: {
    readonly at: string;
    readonly source: string;
    readonly data: Data;
    readonly attributes: number;
    readonly label: string;
  },
): { root: Cell; attached: boolean } {
  const way = overlayWay(data);
  if (way === "page") {
    const { p } = s;
    const { directory, text } = page(data);
    if (directory !== "") p.call("chdir", [p.string(directory)], { label });
    const args = [p.string(source), p.string(at), p.string("overlay"), 0, p.string(text)];
    p.call("mount", args, { label });
    const root = s.descriptor("overlay mount");
    p.call("open_tree", [AT_FDCWD, p.string(at), OPEN_TREE_CLOEXEC], { label, result: root });
    setAttributes(s, valueOf(root), { set: attributes, clear: 0 }, 0, false, label);
    return { root, attached: true };
  }
  let each = data;
  if (way === "layers") {
    if (!facts.overlayAppends) {
      throw new CrateError(
        "UNSUPPORTED",
        "an overlay of so many layers, or of such long paths, needs Linux 6.7 or newer",
      );
    }
    each = data.flatMap(([key, value]) =>
      key === "lowerdir" && value !== undefined
        ? value.split(":").map((layer): [string, string] => ["lowerdir+", layer])
        : [[key, value] as const]
    );
  }
  return { root: makeFilesystem(s, "overlay", source, each, attributes, label), attached: false };
}
