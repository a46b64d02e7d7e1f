import { close } from "../../../ffi/mod.ts";
import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import { type Claimed, copyFromRoot, type VolumeUse } from "../../image/mod.ts";
import { normalize, type Spec } from "../../spec/mod.ts";
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

/** A part of `--mount`, `KEY=VALUE`, whose key is one of these. */
function partOf(parts: readonly string[], keys: readonly string[]): number {
  return parts.findIndex((part) => keys.includes(part.split("=")[0]!.toLowerCase()));
}

/** Reads what is said of volumes. @throws {CrateError} `INVALID` */
export async function prepareVolumes(call: RunCall, config: Effective): Promise<PreparedVolumes> {
  const store = await storeOf(config, { clean: false });
  /** The volumes' names by their paths as the container's config has them; undefined: not to be filled. */
  const named = new Map<string, { readonly name: string; readonly isFilled: boolean }>();
  const anonymous: string[] = [];

  function path(name: string, isFilled: boolean): string {
    const path = normalize(store.volumePath(name));
    named.set(path, { name, isFilled });
    return path;
  }

  function ofVolume(word: string): string[] {
    const [source = "", target, options, ...rest] = word.split(":");
    if (target === undefined && source.startsWith("/")) {
      const own = normalize(source);
      if (own === "/") {
        throw new CrateError("INVALID", `--volume ${word}: not over the container's root, /`);
      }
      anonymous.push(own);
      return [];
    }
    if (/^([/.]|$)/.test(source) || target === undefined) return [word];
    const all = options?.split(",") ?? [];
    const others = all.filter((option) => option !== "nocopy");
    const bound = path(source, others.length === all.length);
    return [[bound, target, ...others.length > 0 ? [others.join(",")] : [], ...rest].join(":")];
  }

  function ofMount(word: string): string[] {
    const parts = word.split(",");
    const type = partOf(parts, ["type"]);
    if (parts[type]?.slice(5) !== "volume") return [word];
    const noCopy = partOf(parts, ["volume-nocopy"]);
    const [, value = "true"] = parts[noCopy]?.split("=") ?? ["", "false"];
    if (!["true", "1", "false", "0"].includes(value)) {
      throw new CrateError("INVALID", `--mount ${word}: volume-nocopy is true or false`);
    }
    const isFilled = value === "false" || value === "0";
    parts[type] = "type=bind";
    const source = partOf(parts, ["src", "source"]);
    const name = parts[source]?.split("=")[1];
    if (!name) {
      throw new CrateError("INVALID", `--mount ${word}: type=volume must have src=NAME`);
    }
    parts[source] = `src=${path(name, isFilled)}`;
    return [parts.filter((_, i) => i !== noCopy).join(",")];
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
