/**
 * Kernel parameters: their names, and which namespace each belongs to.
 *
 * @module
 */
import type { LinuxNamespaceType } from "./types.ts";

/**
 * A parameter's path under `/proc/sys`, or undefined when the name is none. As sysctl(8) reads
 * names: the first `.` or `/` says which of the two separates; the other then is its opposite, so
 * that `net.ipv4.conf.eth0/1.forwarding` is about the interface `eth0.1`.
 *
 * @example
 * ```ts
 * import { sysctlPath } from "./mod.ts";
 * if (sysctlPath("net.core.somaxconn") !== "net/core/somaxconn") throw new Error("path");
 * if (sysctlPath("net/../kernel") !== undefined) throw new Error("it must stay below");
 * ```
 */
export function sysctlPath(name: string): string | undefined {
  const first = name.search(/[./]/);
  const path = name[first] === "."
    ? name.replace(/[./]/g, (separator) => separator === "." ? "/" : ".")
    : name;
  for (const part of path.split("/")) {
    if (part === "" || part === "." || part === ".." || part.includes("\0")) return undefined;
  }
  return path;
}

/**
 * The namespace that a parameter is part of, by its path under `/proc/sys`; undefined for one that
 * belongs to the whole host: ipc_namespaces(7), network_namespaces(7), uts_namespaces(7).
 */
export function sysctlNamespace(path: string): LinuxNamespaceType | undefined {
  if (path.startsWith("net/")) return "network";
  if (path.startsWith("fs/mqueue/")) return "ipc";
  if (/^kernel\/(?:sem|sem_next_id|shm[a-z_]+|msg[a-z_]+)$/.test(path)) return "ipc";
  if (path === "kernel/hostname" || path === "kernel/domainname") return "uts";
  return undefined;
}
