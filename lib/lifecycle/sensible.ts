import { readText, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { validateHost } from "../network/mod.ts";
import type { RunOptions } from "../spec/mod.ts";

/** As docker's: with less than 6 MiB a container is killed before it has executed anything. */
const LEAST_MEMORY = 6 << 20;

/**
 * Refuses what an OCI config may say, and what is a mistake in a person's words: a host name that is none,
 * memory that no container can start with, processors and memory nodes that this host does not have.
 *
 * @throws {CrateError} `INVALID`
 */
export function requireSensible(options: RunOptions): void {
  const { cwd, hostname, domainname, memory = 0, cpusetCpus, cpusetMems } = options;
  if (cwd !== undefined && !cwd.startsWith("/")) {
    throw new CrateError("INVALID", `--workdir must be absolute, got ${JSON.stringify(cwd)}`);
  }
  if (hostname !== undefined) validateHost(hostname, "--hostname");
  if (domainname !== undefined) validateHost(domainname, "the domain name");
  if (memory > 0 && memory < LEAST_MEMORY) {
    throw new CrateError("INVALID", `--memory must be at least 6 MiB, got ${memory} bytes`);
  }
  if (cpusetCpus !== undefined) requireSome("--cpuset-cpus", cpusetCpus, "processors", "cpu");
  if (cpusetMems !== undefined) requireSome("--cpuset-mems", cpusetMems, "memory nodes", "node");
}

/** Refuses a list with more in it than the host has: cgroup v2 would pass over the rest in silence. */
function requireSome(option: string, list: string, what: string, directory: string): void {
  const wanted = numbersIn(list);
  if (wanted === undefined) {
    throw new CrateError("INVALID", `${option} must be a list such as 0-2,4, got "${list}"`);
  }
  const online = onlineOf(directory);
  const there = online === undefined ? undefined : numbersIn(online);
  if (there === undefined || wanted.every(([first, last]) => isIn(first, last, there))) return;
  throw new CrateError("INVALID", `${option} ${list}: this host has the ${what} ${online}`);
}

type Range = readonly [first: number, last: number];

/** Whether one of the ranges, which the kernel has made as long as can be, holds all of another. */
function isIn(first: number, last: number, ranges: readonly Range[]): boolean {
  return ranges.some(([from, to]) => from <= first && last <= to);
}

/** The ranges of a list such as `0-2,4`; undefined for what is none. cpuset(7) */
function numbersIn(list: string): Range[] | undefined {
  const ranges: Range[] = [];
  for (const part of list.split(",")) {
    const [, first, last = first] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part) ?? [];
    if (first === undefined || Number(last) < Number(first)) return undefined;
    ranges.push([Number(first), Number(last)]);
  }
  return ranges;
}

/** The host's own list; undefined where it does not say. */
function onlineOf(directory: string): string | undefined {
  try {
    return readText(`/sys/devices/system/${directory}/online`).trim();
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}
