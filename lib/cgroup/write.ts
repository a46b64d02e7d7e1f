import {
  AT_FDCWD,
  close,
  EACCES,
  EINVAL,
  encodeText,
  ENODEV,
  ENOENT,
  EOPNOTSUPP,
  EPERM,
  EROFS,
  O_CLOEXEC,
  O_WRONLY,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError, type ErrorCode } from "../errors.ts";

/** A write into a file, by the file's whole path. */
export interface CgroupWrite {
  readonly file: string;
  readonly value: string;
  /** The field below `linux.resources` that it comes from. */
  readonly field: string;
  /** What to write instead when the kernel has no such file. */
  readonly otherwise?: { readonly file: string; readonly value: string };
}

/**
 * Writes in order; a file that comes several times in a row is opened once.
 *
 * @throws {CrateError} with the field, the value, the file and the kernel's reason: `INVALID` for a
 * value that it refuses, `UNSUPPORTED` for a file that it does not have, `PERMISSION`, `FAILED`.
 */
export function writeSettings(writes: readonly CgroupWrite[]): void {
  let fd = -1;
  let file = "";
  let otherwise = false;
  try {
    for (const write of writes) {
      if (write.file !== file) {
        if (fd >= 0) close(fd);
        file = write.file;
        fd = openToWrite(file);
        otherwise = fd === -ENOENT && write.otherwise !== undefined;
        if (otherwise) fd = openToWrite(write.otherwise?.file ?? file);
      }
      const target = otherwise && write.otherwise || write;
      if (fd < 0) throw cannotWrite(write.field, target.file, target.value, -fd, true);
      const bytes = encodeText(target.value);
      const result = trySyscall("write", fd, bytes, bytes.length);
      if (result < 0) throw cannotWrite(write.field, target.file, target.value, -result);
    }
  } finally {
    if (fd >= 0) close(fd);
  }
}

function openToWrite(file: string): number {
  return trySyscall("openat", AT_FDCWD, file, O_WRONLY | O_CLOEXEC, 0);
}

// asm-generic/errno-base.h; and linux/errno.h, which is the kernel's own and escapes it here and there.
const ERANGE = 34;
const ENOTSUPP = 524;

const CODES: Record<number, ErrorCode> = {
  [EACCES]: "PERMISSION",
  [EPERM]: "PERMISSION",
  [EROFS]: "PERMISSION",
  [EINVAL]: "INVALID",
  [ERANGE]: "INVALID",
  // A block device that is not there.
  [ENODEV]: "INVALID",
  [EOPNOTSUPP]: "UNSUPPORTED",
  [ENOTSUPP]: "UNSUPPORTED",
};

function cannotWrite(
  field: string,
  file: string,
  value: string,
  errno: number,
  opening = false,
): CrateError {
  const cause = new SyscallError(opening ? "open" : "write", errno, file);
  if (opening && errno === ENOENT) {
    const name = file.slice(file.lastIndexOf("/") + 1);
    const sentence = `linux.resources.${field}: this kernel has no ${name} (${file})`;
    return new CrateError("UNSUPPORTED", sentence, { cause });
  }
  return new CrateError(
    CODES[errno] ?? "FAILED",
    `linux.resources.${field}: cgroup ${file} ${JSON.stringify(value)}: ${cause.code}`,
    { cause },
  );
}
