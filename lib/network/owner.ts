import { readDirectory, readText, SyscallError } from "../../ffi/mod.ts";
import { readLink } from "./links.ts";
import type { PortMapping } from "./types.ts";

/** More than any table of sockets that is worth looking through for a sentence. */
const MAX_TABLE = 8 << 20;

function tryText(path: string, max: number): string {
  try {
    return readText(path, max);
  } catch (error) {
    if (error instanceof SyscallError) return "";
    throw error;
  }
}

/** Inodes of the sockets on a port, by /proc/net's tables. proc(5) */
function inodesOf({ hostPort, protocol }: PortMapping): Set<string> {
  const port = hostPort.toString(16).toUpperCase().padStart(4, "0");
  const inodes = new Set<string>();
  for (const table of [protocol, `${protocol}6`]) {
    for (const line of tryText(`/proc/net/${table}`, MAX_TABLE).split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      // A connection's own end, whose other end is somebody, keeps no port from anyone.
      const isOpen = fields[2]?.endsWith(":0000");
      if (fields[1]?.endsWith(`:${port}`) && isOpen && fields[9] !== "0") inodes.add(fields[9]!);
    }
  }
  return inodes;
}

function listed(path: string): string[] {
  try {
    return readDirectory(path);
  } catch (error) {
    if (error instanceof SyscallError) return [];
    throw error;
  }
}

/** The process that has a port: `nginx (pid 812)`; undefined when it cannot be known. */
export function ownerOf(port: PortMapping): string | undefined {
  const links = new Set([...inodesOf(port)].map((inode) => `socket:[${inode}]`));
  if (links.size === 0) return undefined;
  for (const pid of listed("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of listed(`/proc/${pid}/fd`)) {
      if (!links.has(readLink(`/proc/${pid}/fd/${fd}`))) continue;
      return `${tryText(`/proc/${pid}/comm`, 64).trim() || "a process"} (pid ${pid})`;
    }
  }
}
