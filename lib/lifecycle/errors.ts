import { EACCES, EINVAL, ENOENT, ENOSYS, ENOTDIR, errnoName } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { EXECUTE, MAP_IDS } from "./program/mod.ts";

/** The error for a step that failed: its label, and what a person can do where that is known. */
export function startError(label: string, errno: number): CrateError {
  const code = errnoName(errno);
  if (errno === ENOSYS) {
    const old = "this kernel is too old, crate needs Linux 5.12 or newer";
    return new CrateError("UNSUPPORTED", `${label}: ENOSYS (${old})`);
  }
  if (errno === EINVAL && label.startsWith(MAP_IDS)) {
    return new CrateError("UNSUPPORTED", `${label}: its filesystem has no id-mapped mounts`);
  }
  if (!label.startsWith(EXECUTE)) {
    return new CrateError("START", `${label}: ${code}`);
  }
  const command = label.slice(EXECUTE.length);
  if (errno === ENOENT || errno === ENOTDIR) {
    // In the words that podman and docker look for, to exit as a shell would.
    const missing = command.includes("/")
      ? "no such file or directory in the container (nor, if it is a script, its interpreter)"
      : "executable file not found in $PATH of the container";
    return new CrateError("COMMAND_NOT_FOUND", `${command}: ${missing}`);
  }
  const why = errno === EACCES
    ? "permission denied: it is not an executable file"
    : `cannot be executed: ${code}`;
  return new CrateError("COMMAND_NOT_EXECUTABLE", `${command}: ${why}`);
}
