import { EACCES, EBUSY, EPERM, EROFS, readText, SyscallError, writeFile } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type { CgroupEnable } from "./plan.ts";

/**
 * Sees to it that a v2 group has its controllers: enables them in the groups above, from the top,
 * unless it has them already, as it does but for the first container.
 *
 * @throws {CrateError} `PERMISSION` or `UNSUPPORTED` when a required one cannot be had.
 */
export function enableControllers(directory: string, enable: CgroupEnable): void {
  const { required, wanted, files } = enable;
  const all = [...required, ...wanted];
  const lacking = () => {
    const has = readText(`${directory}/cgroup.controllers`).trim().split(" ");
    return all.filter((name) => !has.includes(name));
  };
  if (all.length === 0) return;
  let missing = lacking();
  if (missing.length === 0) return;
  let refused: SyscallError | undefined;
  for (const file of files) {
    if (tryWrite(file, missing) === undefined) continue;
    // One that a group cannot have makes the kernel refuse the line: the others for themselves, then.
    for (const name of missing) {
      const error = tryWrite(file, [name]);
      if (error !== undefined && required.includes(name)) refused ??= error;
    }
  }
  missing = lacking().filter((name) => required.includes(name));
  if (missing.length > 0) throw cannotEnable(directory, missing.join(", "), refused);
}

function tryWrite(file: string, names: readonly string[]): SyscallError | undefined {
  try {
    writeFile(file, names.map((name) => `+${name}`).join(" "));
    return undefined;
  } catch (error) {
    if (error instanceof SyscallError) return error;
    throw error;
  }
}

function cannotEnable(directory: string, names: string, cause?: SyscallError): CrateError {
  const errno = cause?.errno ?? 0;
  const permission = errno === EACCES || errno === EPERM || errno === EROFS;
  let why = "a group above does not pass it on";
  if (permission) why = "only root, or a user to whom it is delegated, may enable it";
  if (errno === EBUSY) why = "a group above has processes of its own, and may not pass it on then";
  const detail = cause === undefined ? "" : ` (${cause.message})`;
  return new CrateError(
    permission ? "PERMISSION" : "UNSUPPORTED",
    `linux.resources: the cgroup ${directory} cannot have the ${names} controller: ${why}${detail}`,
    { cause },
  );
}
