import { isInitialUserNamespace } from "../../ffi/mod.ts";
import { type CgroupPlan, loadSystemd, type UnitPlan } from "../cgroup/mod.ts";
import type { Spec } from "../spec/mod.ts";
import { compileHolder } from "./program/mod.ts";
import { launchHolder } from "./start.ts";

/**
 * Has systemd make a container's groups around a process of crate's, which holds them until the init is in
 * them: a scope needs a process to begin with, and the init is born in its group.
 *
 * @param directory where an unlinked file may stand.
 * @param collect nobody is going to delete the container.
 * @returns the holder: disposing of it ends it.
 * @throws {CrateError} as `startUnit`; nothing is left then.
 */
export async function enterUnit(
  unit: UnitPlan,
  cgroup: CgroupPlan,
  { linux }: Spec,
  directory: string,
  collect: boolean,
): Promise<Disposable> {
  const { startUnit } = await loadSystemd();
  const holder = launchHolder(compileHolder(0), directory);
  try {
    startUnit(unit, {
      cgroup,
      resources: linux?.resources ?? {},
      devices: isInitialUserNamespace(),
      pid: holder.pid,
      collect,
    });
    return holder;
  } catch (error) {
    holder[Symbol.dispose]();
    throw error;
  }
}
