import {
  close,
  decodeText,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  readAll,
  syscall,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";

/** How much of a log's end is looked through. */
const MAX_TAIL = 1 << 20;
/** How many of its errors are told. */
const MAX_LINES = 3;
const MAX_LINE = 300;
const SEEK_END = 2;

/** `(00.324542) Error (criu/files-reg.c:1710): Can't lookup mount=37 for fd=1` */
const ERROR = /^\(\d+\.\d+\)\s+(?:\d+: )?Error \([^)]*\): (.+)$/;
/** What every failure ends with. */
const SUMMARY = /FAILED\.?$/;

/**
 * The last errors of one of criu's logs, in one line.
 *
 * @example
 * ```ts
 * import { lastErrors } from "./log.ts";
 * const log = "(00.1) Warn (a.c:1): no\n(00.2) Error (b.c:2): it is gone\n(00.3) Error (c.c:3): Dumping FAILED.\n";
 * if (lastErrors(log) !== "it is gone") throw new Error();
 * ```
 */
export function lastErrors(log: string): string | undefined {
  const errors = log.split("\n").map((line) => ERROR.exec(line)?.[1]).filter((text) =>
    text !== undefined
  );
  const telling = errors.filter((text) => !SUMMARY.test(text));
  const told = (telling.length > 0 ? telling : errors).slice(-MAX_LINES);
  if (told.length === 0) return undefined;
  // A container may have had a hand in a name that is in it.
  return told.map((text) => text.replace(/\p{Cc}/gu, "?").trim().slice(0, MAX_LINE)).join("; ");
}

/** The end of a log in a directory; empty when there is none. @throws {SyscallError} */
export function readTail(directory: number, name: string): string {
  const flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  const fd = trySyscall("openat", directory, name, flags, 0);
  if (fd < 0) return "";
  try {
    const size = syscall("lseek", fd, 0, SEEK_END);
    syscall("lseek", fd, Math.max(0, size - MAX_TAIL), 0);
    return decodeText(readAll(fd, MAX_TAIL));
  } catch (error) {
    if (error instanceof SyscallError) return "";
    throw error;
  } finally {
    close(fd);
  }
}
