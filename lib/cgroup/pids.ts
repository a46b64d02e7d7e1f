import type { LinuxResources } from "../spec/mod.ts";
import {
  type Controller,
  decimalOrMax,
  isSet,
  limited,
  type ReadFile,
  type Setting,
} from "./controller.ts";

/** How many processes and threads a group has. */
export interface PidsStats {
  readonly current: number;
  /** Absent: no limit. */
  readonly limit?: number;
}

/** Both versions have the same file. */
function settings({ pids }: LinuxResources): Setting[] {
  if (!isSet(pids?.limit)) return [];
  const field = "pids.limit";
  return [{ file: "pids.max", value: decimalOrMax(pids.limit, field), field }];
}

function stats(read: ReadFile): PidsStats | undefined {
  const current = limited(read("pids.current"));
  return current === undefined ? undefined : { current, limit: limited(read("pids.max")) };
}

/**
 * The number of processes and threads.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#pid
 */
export const pids: Controller<PidsStats> = {
  field: "pids",
  v1: "pids",
  v2: "pids",
  settingsV1: settings,
  settingsV2: settings,
  statsV1: stats,
  statsV2: stats,
};
