import { decodeText, readFile, readText, SyscallError } from "../../ffi/mod.ts";
import { cgroupProcesses, detectLayout, locateCgroup } from "../cgroup/mod.ts";
import type { ContainerRecord } from "./state.ts";

/** One process of a container. */
export interface ContainerProcessInfo {
  /** As the host sees it, and as the container does. */
  readonly pid: number;
  readonly innerPid: number;
  readonly parent: number;
  readonly uid: number;
  /** Seconds of processor time. */
  readonly time: number;
  /** Its words; of one that has none its name in brackets. */
  readonly command: string;
}

/** USER_HZ, by which /proc counts. proc(5) */
const TICKS = 100;
const MAX_COMMAND = 4096;

/** A container's processes, those in groups of its own included, by their pids. @throws {SyscallError} */
export function containerProcesses({ cgroupsPath }: ContainerRecord): ContainerProcessInfo[] {
  if (cgroupsPath === undefined) return [];
  const pids = cgroupProcesses(locateCgroup(detectLayout(), cgroupsPath));
  return pids.sort((a, b) => a - b).flatMap((pid) => readProcess(pid) ?? []);
}

/** The pids of a container's processes, as the host sees them. @throws {SyscallError} */
export function containerPids({ cgroupsPath }: ContainerRecord): number[] {
  if (cgroupsPath === undefined) return [];
  return cgroupProcesses(locateCgroup(detectLayout(), cgroupsPath)).sort((a, b) => a - b);
}

function readProcess(pid: number): ContainerProcessInfo | undefined {
  try {
    const status = readText(`/proc/${pid}/status`, 65536);
    const stat = readText(`/proc/${pid}/stat`, 4096);
    const words = decodeText(readFile(`/proc/${pid}/cmdline`, MAX_COMMAND));
    const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
    // proc(5): utime and stime are fields 14 and 15, the name before them may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return {
      pid,
      innerPid: Number(field("NSpid").split(/\s+/).at(-1)),
      parent: Number(field("PPid")),
      uid: Number(field("Uid").split(/\s+/)[0]),
      time: (Number(fields[11]) + Number(fields[12])) / TICKS,
      command: words.replace(/\0+$/, "").replaceAll("\0", " ") || `[${field("Name")}]`,
    };
  } catch (error) {
    // It has ended.
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}
