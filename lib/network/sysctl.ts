import { ENOENT, readDirectory, readText, SyscallError, writeFile } from "../../ffi/mod.ts";

// Settings of the network namespace that the calling thread is in: /proc/sys/net shows those.

const NET = "/proc/sys/net";

/** A setting's name, and its value. */
export type Setting = readonly [name: string, value: string];

/** Where a setting is. */
export function settingFile(name: string): string {
  return `${NET}/${name}`;
}

/** A setting; undefined when this kernel has none, as without IPv6. */
export function readSetting(name: string): string | undefined {
  try {
    return readText(`${NET}/${name}`, 256).trim();
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ENOENT) return undefined;
    throw error;
  }
}

/** Sets what is not so already; what this kernel does not have needs no setting. */
export function writeSetting(name: string, value: string): void {
  const now = readSetting(name);
  if (now !== undefined && now !== value) writeFile(`${NET}/${name}`, value);
}

/** Sets what is new, and so not as it is to be; what this kernel does not have needs no setting. */
export function writeNewSetting(name: string, value: string): void {
  try {
    writeFile(`${NET}/${name}`, value);
  } catch (error) {
    if (!(error instanceof SyscallError) || error.errno !== ENOENT) throw error;
  }
}

/** Whether this namespace has IPv6 at all. */
export function hasSix(): boolean {
  return readSetting("ipv6/conf/default/disable_ipv6") === "0";
}

/**
 * Lets the host send on what is not for itself. A host that forwards IPv6 no longer listens to its routers
 * unless told to: interfaces that did go on doing so.
 *
 * @see https://docs.kernel.org/networking/ip-sysctl.html, "accept_ra"
 */
export function forward(six: boolean): void {
  const [four, other] = forwarding(six);
  writeSetting(...four);
  if (other === undefined || readSetting(other[0]) === other[1]) return;
  for (const name of readDirectory(`${NET}/ipv6/conf`)) {
    const setting = `ipv6/conf/${name}/accept_ra`;
    if (name !== "all" && readSetting(setting) === "1") writeSetting(setting, "2");
  }
  writeSetting(...other);
}

/** How the host is set when it forwards. */
export function forwarding(six: boolean): readonly [Setting, Setting?] {
  const four = ["ipv4/ip_forward", "1"] as const;
  return six ? [four, ["ipv6/conf/all/forwarding", "1"]] : [four];
}
