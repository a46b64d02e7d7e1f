/**
 * Groups that systemd makes: a container's unit, asked for over D-Bus. Loaded only where
 * `--systemd-cgroup` says so.
 *
 * @module
 */
export {
  planUnit,
  startUnit,
  type StartUnitOptions,
  stopUnit,
  type UnitPlan,
  updateUnit,
} from "./groups.ts";
export type { Unit } from "./unit.ts";
