import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "./constants.ts";
import { syscall, trySyscall } from "./libc.ts";
import { decodeText } from "./text.ts";

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
  const fd = trySyscall("openat", AT_FDCWD, `/proc/${pid}/stat`, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  // The kernel gives all of it at once: nobody has to see its end.
  const bytes = new Uint8Array(4096);
  const count = trySyscall("read", fd, bytes, bytes.length);
  syscall("close", fd);
  if (count <= 0) return undefined;
  const text = decodeText(bytes.subarray(0, count));
  // The second field is the name in parentheses, and may contain any character.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0]!, startTime: Number(fields[19]) };
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
