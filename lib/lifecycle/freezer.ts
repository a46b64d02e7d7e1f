import { type CgroupLocation, type FreezerFiles, freezerFiles } from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";

/** How a program sees that a container stands still; undefined where this host has no freezer. */
export function freezerOf(location: CgroupLocation): FreezerFiles | undefined {
  try {
    return freezerFiles(location);
  } catch (error) {
    if (error instanceof CrateError && error.code === "UNSUPPORTED") return undefined;
    throw error;
  }
}
