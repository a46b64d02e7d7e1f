import { CrateError } from "../errors.ts";
import { readState } from "../lifecycle/mod.ts";

/** A running container's first process. @throws {CrateError} `STATE` when it does not run. */
export function runningInit(root: string, id: string): { pid: number; startTime: number } {
  const state = readState(root, id);
  if (state?.status === "running" && state.process !== undefined) return state.process.init;
  throw new CrateError("STATE", `container "${id}" is not running`);
}
