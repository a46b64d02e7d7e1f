import { readText, SyscallError } from "../../ffi/mod.ts";
import { type CgroupStats, detectLayout, locateCgroup, readStats } from "../cgroup/mod.ts";
import type { ContainerState } from "./state.ts";

/** Bytes of all of a container's interfaces but the loopback. */
export interface NetworkStats {
  readonly received: number;
  readonly sent: number;
}

/** What a running container uses. */
export interface ContainerStats extends CgroupStats {
  readonly id: string;
  /** When it was read: nanoseconds of a clock that only goes on. */
  readonly at: number;
  /** Absent for a container on the host's network, whose traffic is not its own. */
  readonly network?: NetworkStats;
}

/** What a running container uses at this moment; undefined when it does not run. @throws {SyscallError} */
export function containerStats(
  { record, process, status }: ContainerState,
): ContainerStats | undefined {
  const { id, cgroupsPath, spec } = record;
  if (status !== "running" || process === undefined) return undefined;
  const usage = cgroupsPath === undefined
    ? {}
    : readStats(locateCgroup(detectLayout(), cgroupsPath));
  const isOwn = spec.linux?.namespaces?.some(({ type, path }) => type === "network" && !path);
  const network = isOwn ? readNetwork(process.init.pid) : undefined;
  return { id, at: performance.now() * 1e6, ...usage, ...network && { network } };
}

/** /proc/pid/net/dev shows the process's own network namespace. proc(5) */
function readNetwork(pid: number): NetworkStats | undefined {
  let text: string;
  try {
    text = readText(`/proc/${pid}/net/dev`, 1 << 20);
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
  let [received, sent] = [0, 0];
  for (const line of text.split("\n")) {
    const [, name, rest] = /^\s*([^:\s]+):\s*(.*)$/.exec(line) ?? [];
    if (rest === undefined || name === "lo") continue;
    const fields = rest.split(/\s+/).map(Number);
    received += fields[0] ?? 0;
    sent += fields[8] ?? 0;
  }
  return { received, sent };
}
