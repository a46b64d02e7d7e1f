import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  close,
  O_WRONLY,
  open,
  rlimit64,
  syscall,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { rlimitNumber } from "../security/mod.ts";
import type { LinuxIDMapping, Process, Spec, Uint64 } from "../spec/mod.ts";
import type { ProcessId } from "./process_id.ts";
import { hasUserNamespace, isNew } from "./program/mod.ts";

/**
 * Gives the init of a container in a user namespace what only the host may give: the namespace's maps, and room for
 * limits that its root could not raise; it sets them itself, when it needs no more than they allow. The init waits
 * meanwhile. user_namespaces(7)
 *
 * @throws {CrateError} `PERMISSION`, `INVALID`, naming the field.
 */
export function equip(spec: Spec, { pid }: ProcessId): void {
  if (!hasUserNamespace(spec)) return;
  const { linux, process } = spec;
  if (isNew(spec, "user")) {
    writeMaps(pid, linux?.uidMappings ?? [], linux?.gidMappings ?? [], "linux");
  }
  for (const { type, hard } of process?.rlimits ?? []) raiseLimit(pid, type, hard);
  setScore(process, pid);
}

/** Raises a limit's hard part, if it is lower. */
function raiseLimit(pid: number, type: string, hard: Uint64): void {
  const limit = new Uint8Array(rlimit64.size);
  const number = rlimitNumber(type);
  syscall("prlimit64", pid, number, null, limit);
  const view = new DataView(limit.buffer);
  const at = rlimit64.offset("rlim_max");
  if (view.getBigUint64(at, true) >= BigInt(hard)) return;
  view.setBigUint64(at, BigInt(hard), true);
  const result = trySyscall("prlimit64", pid, number, limit, null);
  if (result < 0) throw refused("process.rlimits", `${type} to ${hard}`, -result);
}

/**
 * Gives files that a container has of the host, and that are its own, to the root of its user namespace.
 *
 * @throws {SyscallError}
 */
export function giveFiles({ linux }: Spec, files: readonly string[]): void {
  const rootOf = (maps: readonly LinuxIDMapping[] = []) =>
    maps.find(({ containerID }) => containerID === 0)?.hostID;
  const [uid, gid] = [rootOf(linux?.uidMappings), rootOf(linux?.gidMappings)];
  if (uid === undefined || gid === undefined) return;
  for (const file of files) syscall("fchownat", AT_FDCWD, file, uid, gid, AT_SYMLINK_NOFOLLOW);
}

/** The limits and the oom score of a process in a user namespace. @throws {CrateError} */
export function equipProcess(process: Process | undefined, pid: number): void {
  for (const { type, soft, hard } of process?.rlimits ?? []) {
    const limit = rlimit64.pack({ rlim_cur: soft, rlim_max: hard });
    const result = trySyscall("prlimit64", pid, rlimitNumber(type), limit, null);
    if (result < 0) throw refused("process.rlimits", `${type} ${soft}:${hard}`, -result);
  }
  setScore(process, pid);
}

function setScore(process: Process | undefined, pid: number): void {
  const score = process?.oomScoreAdj;
  if (score !== undefined) {
    write(pid, "oom_score_adj", String(score), "process.oomScoreAdj");
  }
}

/** The maps of a new user namespace. @param field what they are part of. @throws {CrateError} */
export function writeMaps(
  pid: number,
  uids: readonly LinuxIDMapping[],
  gids: readonly LinuxIDMapping[],
  field: string,
): void {
  writeMap(pid, "uid_map", `${field}.uidMappings`, uids);
  writeMap(pid, "gid_map", `${field}.gidMappings`, gids);
}

function writeMap(pid: number, file: string, field: string, maps: readonly LinuxIDMapping[]): void {
  if (maps.length === 0) return;
  const lines = maps.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`);
  write(pid, file, lines.join(""), field);
}

/** In one write, as the kernel takes a map. */
function write(pid: number, name: string, text: string, field: string): void {
  try {
    const fd = open(`/proc/${pid}/${name}`, O_WRONLY);
    try {
      const bytes = new TextEncoder().encode(text);
      syscall("write", fd, bytes, bytes.length);
    } finally {
      close(fd);
    }
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw refused(field, text.trim(), error.errno);
  }
}

function refused(field: string, value: string, errno: number): CrateError {
  const cause = new SyscallError("write", errno);
  const code = cause.code === "EPERM" || cause.code === "EACCES" ? "PERMISSION" : "INVALID";
  return new CrateError(code, `${field}: the kernel refuses "${value}": ${cause.code}`, { cause });
}
