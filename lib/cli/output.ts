import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  close,
  O_CREAT,
  O_EXCL,
  O_TRUNC,
  O_WRONLY,
  open,
  randomHex,
  S_IFMT,
  S_IFREG,
  STATX_BASIC_STATS,
  statx_layout,
  syscall,
  SyscallError,
  trySyscall,
  writeAll,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { write } from "./print.ts";

/**
 * Gives what writes an archive somewhere to write to: a file, which appears when it is whole, or standard
 * output, which must not be a terminal.
 *
 * @param path of `--output`
 * @throws {CrateError} `USAGE`, `FAILED`
 */
export async function withOutput(
  path: string | undefined,
  produce: (write: (bytes: Uint8Array<ArrayBuffer>) => void) => Promise<void>,
): Promise<void> {
  if (path === undefined) {
    if (Deno.stdout.isTerminal()) {
      throw new CrateError(
        "USAGE",
        "an archive is nothing for a terminal: give --output FILE, or pipe it into a program",
      );
    }
    return await produce((bytes) => write("output", bytes));
  }
  // A device, a pipe, or what a link leads to stays what it is, and is written to.
  const isPlain = isFileOrNothing(path);
  const part = isPlain ? `${path}.${randomHex(4)}` : path;
  let fd: number;
  let isWhole = false;
  try {
    fd = open(part, isPlain ? O_WRONLY | O_CREAT | O_EXCL : O_WRONLY | O_TRUNC, 0o644);
  } catch (error) {
    throw cannotWrite(path, error);
  }
  try {
    await produce((bytes) => writeAll(fd, bytes, path));
    if (isPlain) {
      syscall("fsync", fd);
      syscall("renameat2", AT_FDCWD, part, AT_FDCWD, path, 0);
    }
    isWhole = true;
  } catch (error) {
    throw cannotWrite(path, error);
  } finally {
    close(fd);
    if (!isWhole && isPlain) trySyscall("unlinkat", AT_FDCWD, part, 0);
  }
}

function isFileOrNothing(path: string): boolean {
  const status = new Uint8Array(256);
  const flags = AT_SYMLINK_NOFOLLOW;
  const result = trySyscall("statx", AT_FDCWD, path, flags, STATX_BASIC_STATS, status);
  return result < 0 || (statx_layout.get(status, "stx_mode") & S_IFMT) === S_IFREG;
}

function cannotWrite(path: string, cause: unknown): unknown {
  if (!(cause instanceof SyscallError)) return cause;
  return new CrateError("FAILED", `--output ${path} cannot be written: ${cause.code}`, { cause });
}
