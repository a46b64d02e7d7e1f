import { CrateError } from "../errors.ts";
import type { Globals } from "./words/mod.ts";

/** @throws {CrateError} `UNSUPPORTED` for what only systemd could make. */
export function refuseSystemd({ systemdCgroup }: Globals): void {
  if (!systemdCgroup) return;
  throw new CrateError(
    "UNSUPPORTED",
    "--systemd-cgroup is not supported yet: have the engine use cgroupfs",
  );
}
