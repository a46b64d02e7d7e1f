import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  become,
  close,
  decodeText,
  exists,
  LOCK_EX,
  mkdirAll,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  open,
  readFile,
  readText,
  replaceFile,
  S_IFDIR,
  S_IFMT,
  STATX_BASIC_STATS,
  statx_layout,
  syscall,
  SyscallError,
  trySyscall,
  writeFile,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type { LinuxIDMapping } from "../spec/mod.ts";
import { isAlive, type ProcessId } from "./process_id.ts";
import { findProgram } from "./rootless.ts";
import { compileEnter, compileUserNamespace } from "./program/mod.ts";
import { launch, nullStdio } from "./start.ts";
import { runTask } from "./task.ts";
import { subordinateMaps } from "./subordinate.ts";

// An ordinary user's crate: it becomes crate once more, as the root of a user namespace that is the user's. All his
// containers belong to one namespace, which a process of some kilobytes keeps. user_namespaces(7)

/** By which crate knows that it has been here already. */
const ENTERED = "_CRATE_ENTERED";
const RUNTIME = "XDG_RUNTIME_DIR";
/** Of what a helper has said, how much an error repeats. */
const MAX_SAID = 4096;

/** Whoever calls crate. */
interface User {
  readonly uid: number;
  readonly gid: number;
  /** Where programs are, as the environment has it. */
  readonly path: string;
  /** Where crate's state is. */
  readonly directory: string;
}

/** @throws {CrateError} `PERMISSION` when a directory that others may have made is not the user's alone. */
function requireOwn(path: string, uid: number): void {
  const buffer = new Uint8Array(256);
  const flags = AT_SYMLINK_NOFOLLOW;
  const result = trySyscall("statx", AT_FDCWD, path, flags, STATX_BASIC_STATS, buffer);
  if (result < 0) throw new SyscallError("statx", -result, path);
  const mode = statx_layout.get(buffer, "stx_mode");
  const owner = statx_layout.get(buffer, "stx_uid");
  if ((mode & S_IFMT) === S_IFDIR && (mode & 0o077) === 0 && owner === uid) return;
  throw new CrateError("PERMISSION", `${path} is not a directory of yours alone: set ${RUNTIME}`);
}

/** Where a user's state is: his runtime directory, or one in /tmp that is only his. */
function runtimeDirectory(uid: number, given: string | undefined): string {
  if (given) return given;
  const session = `/run/user/${uid}`;
  if (exists(session)) return session;
  const own = `/tmp/crate-run-${uid}`;
  mkdirAll(own, 0o700);
  requireOwn(own, uid);
  return own;
}

/** Runs newuidmap(1) or newgidmap(1). @throws {CrateError} with what it says when it fails. */
async function writeByHelper(
  file: string,
  pid: number,
  maps: readonly LinuxIDMapping[],
  directory: string,
): Promise<void> {
  const numbers = maps.flatMap(({ containerID, hostID, size }) => [containerID, hostID, size]);
  const args = [file, pid, ...numbers].map(String);
  const name = "crate-map";
  const { exit, said } = await runTask({
    name,
    path: file,
    args,
    env: [],
    cwd: "/",
    directory,
    input: "",
  });
  if (exit.code === 0) return;
  const words = said.slice(0, MAX_SAID).trim().replaceAll("\n", "; ");
  throw new CrateError("PERMISSION", `${args.join(" ")} failed: ${words}`);
}

/** All ids that the user may have; where none are subordinate to him, or the helpers are missing, his own alone. */
async function writeMaps(
  pid: number,
  { uid, gid, path, directory }: User,
): Promise<void> {
  const { uids, gids } = subordinateMaps(uid, gid);
  const [newuidmap, newgidmap] = ["newuidmap", "newgidmap"].map((name) => findProgram(name, path));
  const hasMore = uids.length > 1 && gids.length > 1;
  if (hasMore && newuidmap !== undefined && newgidmap !== undefined) {
    await writeByHelper(newuidmap, pid, uids, directory);
    await writeByHelper(newgidmap, pid, gids, directory);
    return;
  }
  writeFile(`/proc/${pid}/uid_map`, `0 ${uid} 1\n`);
  // Else who has a group taken from him could get at what it was taken for. user_namespaces(7)
  writeFile(`/proc/${pid}/setgroups`, "deny");
  writeFile(`/proc/${pid}/gid_map`, `0 ${gid} 1\n`);
}

function readHolder(file: string): ProcessId | undefined {
  try {
    const found: Partial<ProcessId> = JSON.parse(readText(file, 4096));
    const { pid, startTime } = found;
    return pid !== undefined && startTime !== undefined ? { pid, startTime } : undefined;
  } catch (error) {
    if (error instanceof SyscallError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The process that keeps the user's namespace, started when there is none. */
async function holderOf(user: User): Promise<ProcessId> {
  const { directory } = user;
  const file = `${directory}/userns.json`;
  const found = readHolder(file);
  if (found !== undefined && isAlive(found)) return found;
  const lock = open(`${directory}/userns.lock`, O_RDWR | O_CREAT, 0o600);
  try {
    syscall("flock", lock, LOCK_EX);
    const other = readHolder(file);
    if (other !== undefined && isAlive(other)) return other;
    const none = nullStdio();
    const launched = launch(compileUserNamespace(), {
      name: "crate-userns",
      stdio: [none, none, none],
      directory,
      released: true,
    });
    close(none);
    try {
      await writeMaps(launched.init.pid, user);
      replaceFile(file, JSON.stringify(launched.init), 0o600);
      await launched.go();
    } catch (error) {
      await launched.abandon();
      throw error;
    }
    close(launched.control);
    return launched.init;
  } finally {
    close(lock);
  }
}

/** This process's own program. proc(5), /proc/pid/exe */
function ownFile(): string {
  const path = new Uint8Array(4096);
  const length = syscall("readlinkat", AT_FDCWD, "/proc/self/exe", path, path.length);
  return decodeText(path.subarray(0, length));
}

/** This process's own words, to be said again. proc(5), /proc/pid/cmdline */
function ownWords(): string[] {
  return decodeText(readFile("/proc/self/cmdline", 4 << 20)).split("\0").slice(0, -1);
}

/**
 * Becomes crate as the root of the user's own namespace, with the same words. Never returns.
 *
 * @throws {CrateError} when this host gives the user none.
 */
export async function enter(environment: Readonly<Record<string, string>>): Promise<never> {
  const uid = syscall("getuid");
  const gid = syscall("getegid");
  if (environment[ENTERED] !== undefined) {
    throw new CrateError("PERMISSION", "the user namespace has no root: its maps were not written");
  }
  const runtime = runtimeDirectory(uid, environment[RUNTIME]);
  const directory = `${runtime}/crate`;
  try {
    mkdirAll(directory, 0o700);
    const path = environment.PATH ?? "";
    const holder = await holderOf({ uid, gid, path, directory });
    const namespace = open(`/proc/${holder.pid}/ns/user`, O_RDONLY);
    const env = { ...environment, [RUNTIME]: runtime, [ENTERED]: "1" };
    const program = compileEnter({
      file: ownFile(),
      argv: ownWords(),
      env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    });
    return become(program, { name: "crate", descriptors: [0, 1, 2, namespace] });
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError(
      "PERMISSION",
      `crate cannot make a user namespace for you: ${cause.message}; as root it needs none`,
      { cause },
    );
  }
}
