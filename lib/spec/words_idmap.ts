import { CrateError } from "../errors.ts";
import type { LinuxIDMapping } from "./types.ts";

/** The maps of an id-mapped mount that stand in its option. */
export interface IdmapOption {
  readonly uids: IdmapWords;
  readonly gids: IdmapWords;
}

/** One map, and whether its second ids are the container's, to be looked up in the user namespace's own map. */
export interface IdmapWords {
  readonly relative: boolean;
  readonly mappings: readonly LinuxIDMapping[];
}

/** Whether a mount option is `idmap=…` or `ridmap=…`. */
export function isIdmapWithMaps(option: string): boolean {
  return option.startsWith("idmap=") || option.startsWith("ridmap=");
}

/**
 * crun's maps in a mount option: `idmap=uids=0-1000-10#10-2000-5;gids=@0-1-10`: first id of the files, first id
 * that they are shown with, how many. crun(1), "idmap mount options"
 *
 * @throws {CrateError} `INVALID` naming the field.
 *
 * @example
 * ```ts
 * import { parseIdmapOption } from "./mod.ts";
 * const { uids } = parseIdmapOption("idmap=uids=0-1000-10;gids=0-1000-10", "mounts[0].options");
 * if (uids.mappings[0]?.hostID !== 1000) throw new Error();
 * ```
 */
export function parseIdmapOption(option: string, field: string): IdmapOption {
  const maps = new Map<string, IdmapWords>();
  for (const part of option.slice(option.indexOf("=") + 1).split(";")) {
    const match = /^(uids|gids)=(@?)(\d+-\d+-\d+(?:#\d+-\d+-\d+)*)$/.exec(part);
    if (match === null || maps.has(match[1]!)) throw invalid(option, field);
    const mappings = match[3]!.split("#").map((range) => {
      const [containerID, hostID, size] = range.split("-").map(Number) as [number, number, number];
      const last = Math.max(containerID, hostID) + size;
      if (size === 0 || last > 2 ** 32) throw invalid(option, field);
      return { containerID, hostID, size };
    });
    maps.set(match[1]!, { relative: match[2] === "@", mappings });
  }
  const [uids, gids] = [maps.get("uids"), maps.get("gids")];
  if (uids === undefined || gids === undefined) throw invalid(option, field);
  return { uids, gids };
}

function invalid(option: string, field: string): CrateError {
  return new CrateError(
    "INVALID",
    `${field} "${option}" must be like "idmap=uids=0-1000-10;gids=0-1000-10"`,
  );
}
