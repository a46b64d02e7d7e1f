import type { Effective } from "../config/mod.ts";
import { CrateError } from "../errors.ts";
import type { Globals } from "./words/mod.ts";

/** Whether systemd makes the groups: runc's word for it, or crun's. */
export function isSystemds({ systemdCgroup, cgroupManager }: Globals): boolean {
  return systemdCgroup || cgroupManager === "systemd";
}

/**
 * `linux.cgroupsPath` of a container of crate's own making: a group below the configured one, or, where systemd
 * makes it, a scope in the configured slice.
 *
 * @throws {CrateError} `INVALID` when that is no slice.
 */
export function groupPath(globals: Globals, config: Effective, name: string): string {
  const { value, origin } = config["cgroup.parent"];
  if (!isSystemds(globals)) return `${value}/${name}`;
  const slice = value.slice(value.lastIndexOf("/") + 1);
  if (slice.endsWith(".slice")) return `${slice}:crate:${name}`;
  if (origin === "default") return `:crate:${name}`;
  throw new CrateError(
    "INVALID",
    `cgroup.parent must be a slice with --systemd-cgroup, such as "/machine.slice", ` +
      `got "${value}" (${origin})`,
  );
}
