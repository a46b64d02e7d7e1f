import { close } from "../../../ffi/mod.ts";
import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import { type Claimed, copyFromRoot, type VolumeUse } from "../../image/mod.ts";
import { normalize, parseMountFlag, parseVolume, type Spec, splitMount } from "../../spec/mod.ts";
import { storeOf } from "../images.ts";
import type { RunCall } from "../words/mod.ts";

type Options = RunCall["options"];

/** The volumes of a command line, and the command line without them. */
export interface PreparedVolumes {
  /** In which they are binds of directories in the store. */
  readonly call: RunCall;
  /** Paths in the container that get volumes of the container's own. */
  readonly anonymous: readonly string[];
  /**
   * Makes the volumes with names, and notes that the container uses them.
   *
   * @param directory the container's state directory.
   * @param openRoot opens the image that a new volume is filled from; undefined: it stays empty.
   */
  claim(directory: string, spec: Spec, openRoot?: () => number): Promise<Claimed>;
}

/** The key of a part of `--mount`, `KEY=VALUE`. */
function keyOf(part: string): string {
  return part.split("=")[0]!.toLowerCase();
}

/** A part as it may stand between commas. */
function quoted(part: string): string {
  return /[",]/.test(part) ? `"${part.replaceAll('"', '""')}"` : part;
}

/** Takes the part that has one of these keys out of all: its value; a key alone is `true`. */
function takePart(parts: string[], keys: readonly string[]): string | undefined {
  const at = parts.findIndex((part) => keys.includes(keyOf(part)));
  if (at < 0) return undefined;
  const [part] = parts.splice(at, 1);
  const equals = part!.indexOf("=");
  return equals < 0 ? "true" : part!.slice(equals + 1);
}

/**
 * Reads what is said of volumes.
 *
 * @param hasIds it has a user namespace of its own: a volume is shown with its ids.
 * @throws {CrateError} `INVALID`
 */
export async function prepareVolumes(
  call: RunCall,
  config: Effective,
  hasIds = false,
): Promise<PreparedVolumes> {
  const ids = hasIds ? ["idmap"] : [];
  const store = await storeOf(config, { clean: false });
  /** The volumes' names by their paths as the container's config has them; undefined: not to be filled. */
  const named = new Map<string, { readonly name: string; readonly isFilled: boolean }>();
  const anonymous: string[] = [];

  function path(name: string, isFilled: boolean): string {
    const path = normalize(store.volumePath(name));
    named.set(path, { name, isFilled });
    return path;
  }

  /** A volume of the container's own. */
  function own(option: string, word: string, target: string): string[] {
    // Only for what it says of the path.
    const { mount } = parseVolume(`/:${target}`, "/", option, word);
    anonymous.push(mount.destination);
    return [];
  }

  function ofVolume(word: string): string[] {
    const [source = "", target, options, ...rest] = word.split(":");
    if (target === undefined && source.startsWith("/")) return own("--volume", word, source);
    if (/^([/.]|$)/.test(source) || target === undefined) return [word];
    const all = options?.split(",") ?? [];
    const others = all.filter((option) => option !== "nocopy");
    const words = [...others, ...others.some((option) => /^idmap/.test(option)) ? [] : ids];
    const more = [target, ...words.length > 0 ? [words.join(",")] : [], ...rest];
    // What is wrong with the rest is told of the word that was typed, not of the store's directory.
    parseVolume(["/", ...more].join(":"), "/", "--volume", word);
    return [[path(source, others.length === all.length), ...more].join(":")];
  }

  function ofMount(word: string): string[] {
    const parts = splitMount(word);
    const refuse = (problem: string): never => {
      throw new CrateError("INVALID", `--mount ${word}: ${problem}`);
    };
    const type = takePart(parts, ["type"]) ?? "volume";
    if (type !== "volume") return [word];
    const noCopy = takePart(parts, ["volume-nocopy"]);
    if (noCopy !== undefined && !["true", "1", "false", "0"].includes(noCopy)) {
      refuse("volume-nocopy is true or false");
    }
    const isFilled = noCopy === undefined || noCopy === "false" || noCopy === "0";
    const foreign = parts.map(keyOf).find((key) => /^(bind|tmpfs)-/.test(key));
    if (foreign !== undefined) refuse(`${foreign} does not go with type=volume`);
    const name = takePart(parts, ["src", "source"]);
    if (name?.startsWith("/")) refuse("a path of the host is a type=bind, and a volume has a name");
    if (!name) {
      const target = takePart(parts, ["dst", "target", "destination"]);
      if (target === undefined) refuse("must have dst=PATH");
      if (noCopy !== undefined || parts.length > 0) {
        refuse("a volume without a name has a path alone: give it a name, src=NAME");
      }
      return own("--mount", word, target!);
    }
    const more = parts.map(keyOf).includes("idmap") ? [] : ids;
    const bind = (source: string) =>
      ["type=bind", `src=${source}`, ...parts, ...more].map(quoted).join(",");
    parseMountFlag(bind("/"), "/", "--mount", word);
    return [bind(path(name, isFilled))];
  }

  const options: Options = {
    ...call.options,
    volume: call.options.volume.flatMap(ofVolume),
    mount: call.options.mount.flatMap(ofMount),
  };
  return {
    call: { ...call, options },
    anonymous,
    async claim(directory, { mounts = [] }, openRoot) {
      const uses: VolumeUse[] = [];
      const remove = () => uses.forEach((use) => use.remove());
      try {
        for (const { source, destination } of mounts) {
          const volume = named.get(source ?? "");
          if (volume === undefined) continue;
          const { name, isFilled } = volume;
          const fill = openRoot && isFilled
            ? (to: string) => fillFrom(openRoot, destination, to)
            : undefined;
          uses.push(await store.takeVolume(name, { directory, path: source! }, fill));
        }
      } catch (error) {
        remove();
        throw error;
      }
      return { remove, [Symbol.dispose]: () => uses.forEach((use) => use[Symbol.dispose]()) };
    },
  };
}

async function fillFrom(openRoot: () => number, path: string, to: string): Promise<void> {
  const root = openRoot();
  try {
    await copyFromRoot(root, path, to);
  } finally {
    close(root);
  }
}
