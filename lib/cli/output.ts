import {
  close,
  O_CREAT,
  O_EXCL,
  O_WRONLY,
  open,
  randomHex,
  syscall,
  SyscallError,
  trySyscall,
  writeAll,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";

/** renameat(2) */
const AT_FDCWD = -100;

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
    return await produce((bytes) => writeAll(1, bytes, "standard output"));
  }
  const part = `${path}.${randomHex(4)}`;
  let fd: number;
  let isWhole = false;
  try {
    fd = open(part, O_WRONLY | O_CREAT | O_EXCL, 0o644);
  } catch (error) {
    throw cannotWrite(path, error);
  }
  try {
    await produce((bytes) => writeAll(fd, bytes, path));
    syscall("fsync", fd);
    syscall("renameat2", AT_FDCWD, part, AT_FDCWD, path, 0);
    isWhole = true;
  } catch (error) {
    throw cannotWrite(path, error);
  } finally {
    close(fd);
    if (!isWhole) trySyscall("unlinkat", AT_FDCWD, part, 0);
  }
}

function cannotWrite(path: string, cause: unknown): unknown {
  if (!(cause instanceof SyscallError)) return cause;
  return new CrateError("FAILED", `--output ${path} cannot be written: ${cause.code}`, { cause });
}
