import { exists, readText, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type { Process, Spec } from "../spec/mod.ts";

/** Whether this host's AppArmor is in force. apparmor(7) */
export function hasAppArmor(): boolean {
  try {
    return readText("/sys/module/apparmor/parameters/enabled").startsWith("Y");
  } catch (error) {
    if (error instanceof SyscallError) return false;
    throw error;
  }
}

/** Whether this host has an SELinux policy: only then selinuxfs is mounted. selinux(8) */
export function hasSELinux(): boolean {
  return exists("/sys/fs/selinux/enforce");
}

/** What a host runs; a test may say another. */
export interface Modules {
  readonly apparmor: () => boolean;
  readonly selinux: () => boolean;
}

const OWN: Modules = { apparmor: hasAppArmor, selinux: hasSELinux };

/**
 * Refuses a label of a security module that this host does not run.
 *
 * @throws {CrateError} `UNSUPPORTED`, naming the field.
 */
export function requireModules(
  { process, linux }: Pick<Spec, "process" | "linux">,
  modules = OWN,
): void {
  if (process !== undefined) requireProcessModules(process, modules);
  if (linux?.mountLabel && !modules.selinux()) {
    throw new CrateError(
      "UNSUPPORTED",
      `linux.mountLabel is "${linux.mountLabel}", and this host has no SELinux`,
    );
  }
}

/** The same for a process alone. @throws {CrateError} `UNSUPPORTED` */
export function requireProcessModules(process: Process, modules = OWN): void {
  const { apparmorProfile, selinuxLabel } = process;
  if (apparmorProfile && !modules.apparmor()) {
    throw new CrateError(
      "UNSUPPORTED",
      `process.apparmorProfile is "${apparmorProfile}", and this host has no AppArmor`,
    );
  }
  if (selinuxLabel && !modules.selinux()) {
    throw new CrateError(
      "UNSUPPORTED",
      `process.selinuxLabel is "${selinuxLabel}", and this host has no SELinux`,
    );
  }
}
