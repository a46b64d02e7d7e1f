import { readText } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { LinuxResources, Spec } from "../../spec/mod.ts";
import type { CgroupPlan } from "../plan.ts";
import { annotatedProperties } from "./annotations.ts";
import { deviceProperties, parseDeviceGroups } from "./devices.ts";
import { Manager } from "./manager.ts";
import type { Property } from "./property.ts";
import { resourceProperties } from "./resources.ts";
import { type Unit, unitOf, unitPath } from "./unit.ts";

/** A unit for a container, before it is made. */
export interface UnitPlan {
  readonly unit: Unit;
  /** Its group's path, below every hierarchy's mount point. */
  readonly path: string;
  /** What the config's annotations ask for. */
  readonly annotated: readonly Property[];
}

/**
 * Plans the unit of a container: a scope, or a slice when the config's path ends in one.
 *
 * @param id its name, when the config has no path.
 * @param user by the user's systemd, which is asked where its groups are.
 * @throws {CrateError} `INVALID` for a path or an annotation; `UNSUPPORTED` without a systemd.
 *
 * @example
 * ```ts
 * import { planUnit } from "./groups.ts";
 * const { path } = planUnit({ ociVersion: "1.0.2" }, "web", false);
 * if (path !== "/system.slice/crate-web.scope") throw new Error();
 * ```
 */
export function planUnit(spec: Spec, id: string, user: boolean): UnitPlan {
  const unit = unitOf(spec.linux?.cgroupsPath, id, user);
  const annotated = annotatedProperties(spec.annotations);
  return { unit, path: groupAbove(user) + unitPath(unit), annotated };
}

function groupAbove(user: boolean): string {
  if (!user) return "";
  using manager = Manager.open(true);
  return manager.group();
}

/** What a unit is started with. */
export interface StartUnitOptions {
  readonly cgroup: CgroupPlan;
  readonly resources: LinuxResources;
  /** Whether devices are limited. */
  readonly devices: boolean;
  /** A process for the scope, which stays until there is another in it. */
  readonly pid: number;
  /** The unit is forgotten when it has failed: nobody is going to delete it. */
  readonly collect: boolean;
}

/**
 * Has systemd make a container's unit, with its limits. What systemd does not know of them is still to be
 * written into its groups.
 *
 * @throws {CrateError} `EXISTS`, `UNSUPPORTED`, `PERMISSION`, `FAILED`; nothing is left then.
 */
export function startUnit({ unit, annotated }: UnitPlan, options: StartUnitOptions): void {
  const { cgroup, resources, devices, pid, collect } = options;
  const isSlice = unit.name.endsWith(".slice");
  const text = (name: string, value: string) => ({ name, signature: "s", value });
  const flag = (name: string, value: boolean) => ({ name, signature: "b", value });
  const accounting = cgroup.v1.has("memory")
    ? ["MemoryAccounting", "CPUAccounting", "BlockIOAccounting", "TasksAccounting"]
    : ["MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"];
  using manager = Manager.open(unit.user);
  manager.start(unit.name, [
    text("Description", `crate container ${unit.container}`),
    ...isSlice ? [{ name: "Wants", signature: "as", value: [unit.slice] }] : [
      text("Slice", unit.slice),
      { name: "PIDs", signature: "au", value: [pid] },
      flag("Delegate", true),
      ...collect ? [text("CollectMode", "inactive-or-failed")] : [],
    ],
    ...accounting.map((name) => flag(name, true)),
    flag("DefaultDependencies", false),
    ...annotated,
    ...devices
      ? deviceProperties(resources.devices, parseDeviceGroups(readText("/proc/devices")))
      : [],
    ...resourceProperties(cgroup.writes, manager.version()),
  ]);
}

/**
 * Tells systemd of a container's new limits.
 *
 * @param cgroup a plan with these alone.
 * @throws {CrateError}
 */
export function updateUnit({ name, user }: Unit, cgroup: CgroupPlan): void {
  using manager = Manager.open(user);
  manager.set(name, resourceProperties(cgroup.writes, manager.version()));
}

/**
 * Stops a container's unit, when its processes have ended, and has systemd forget it. Without a systemd there
 * is no unit.
 *
 * @throws {CrateError}
 */
export function stopUnit({ name, user }: Unit): void {
  let manager: Manager;
  try {
    manager = Manager.open(user);
  } catch (error) {
    if (error instanceof CrateError && error.code === "UNSUPPORTED") return;
    throw error;
  }
  using _ = manager;
  manager.stop(name);
}
