import { readText } from "./files.ts";
import { syscall, trySyscall } from "./libc.ts";
import { SyscallError } from "./errno.ts";

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessId {
  readonly pid: number;
  /** When it started, in clock ticks since boot: field 22 of /proc/pid/stat, proc(5). */
  readonly startTime: number;
}

interface Stat {
  readonly state: string;
  readonly startTime: number;
}

function stat(pid: number): Stat | undefined {
  try {
    const text = readText(`/proc/${pid}/stat`, 4096);
    // The second field is the name in parentheses, and may contain any character.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0]!, startTime: Number(fields[19]) };
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}

/** The identity of a running process, undefined when there is none of this pid. */
export function identify(pid: number): ProcessId | undefined {
  const found = stat(pid);
  return found && { pid, startTime: found.startTime };
}

/** Whether this very process still runs; one that only waits to be reaped does not. */
export function isAlive({ pid, startTime }: ProcessId): boolean {
  const found = stat(pid);
  return found !== undefined && found.startTime === startTime && found.state !== "Z" &&
    found.state !== "X";
}

/**
 * A descriptor of this very process, pidfd_open(2): opened first and checked then, so that no other
 * can have taken the pid in between.
 *
 * @returns undefined when it has ended.
 * @throws {SyscallError}
 */
export function openProcess(process: ProcessId): number | undefined {
  const fd = trySyscall("pidfd_open", process.pid, 0);
  if (fd < 0) return undefined;
  if (isAlive(process)) return fd;
  syscall("close", fd);
  return undefined;
}
