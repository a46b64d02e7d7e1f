import { readText } from "../../ffi/mod.ts";
import { writeSettings } from "./write.ts";

/**
 * Gives a v1 cpuset what the ones above it have: it begins empty, and then lets no process in.
 *
 * @param mount where looking up ends; the root's set is never empty.
 * @param fresh the group was made just now: then the kernel has filled both of its sets or none.
 */
export function inheritCpuset(directory: string, mount: string, fresh: boolean): void {
  // One byte tells: an empty set reads as a line end.
  if (fresh && readText(`${directory}/cpuset.cpus`, 1) !== "\n") return;
  inherit(directory, "cpuset.cpus", mount);
  inherit(directory, "cpuset.mems", mount);
}

/** The groups that will be made below a cpuset shall begin with its sets. */
export function cloneCpuset(directory: string): void {
  put(`${directory}/cgroup.clone_children`, "1");
}

function inherit(directory: string, file: string, mount: string): string {
  const own = read(`${directory}/${file}`);
  if (own !== "" || directory === mount) return own;
  // The one above first: a set must lie within its parent's, and that one may still be empty, too.
  const set = inherit(directory.slice(0, directory.lastIndexOf("/")), file, mount);
  put(`${directory}/${file}`, set);
  return set;
}

function read(file: string): string {
  return readText(file).trim();
}

function put(file: string, value: string): void {
  writeSettings([{ file, value, field: "cpu" }]);
}
