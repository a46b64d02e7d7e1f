import {
  arch,
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  close,
  encodeElf,
  encodeMapped,
  isInitialUserNamespace,
  O_CLOEXEC,
  O_TMPFILE,
  O_WRONLY,
  type Program,
  readText,
  trySyscall,
  writeAll,
} from "../../ffi/mod.ts";
import { detectLayout, locateCgroup } from "../cgroup/mod.ts";
import { lastCapability } from "../security/mod.ts";
import type { Process, Spec } from "../spec/mod.ts";
import { filterFor, groupOf, namespacesOf } from "./exec.ts";
import { freezerOf } from "./freezer.ts";
import { EXEC_VERB_KIND } from "./offer_exec.ts";
import { isAlive } from "./process_id.ts";
import { compileExec, compileExecVerb, hasListener, hasUserNamespace } from "./program/mod.ts";
import { openDirectory } from "./start.ts";
import { type ContainerState, readState, statePaths } from "./state.ts";

// What the launcher (scripts/verbs.sh) walks when something is to be executed in a container as its own process was,
// made ready by the first that is; see program/exec_verb.ts.

/** From 5 on an exec's program has the init's pidfd, and then the v2 group. */
const GROUP = 6;

/** The container's own process, but for its arguments and a terminal. */
export function ownProcess({ process }: Spec): Process {
  return { ...process!, args: [], terminal: false, consoleSize: undefined };
}

/** Makes a running container's exec ready in its directory. @throws {SyscallError} */
export async function putExecVerb(root: string, id: string, file: string): Promise<void> {
  const folder = openDirectory(statePaths(root, id).directory);
  try {
    // While its init lives, the directory is that container's.
    const state = readState(root, id);
    if (state?.process === undefined || !isAlive(state.process.init)) return;
    const program = await compile(state, root, file);
    const bytes = program && encodeMapped(program, arch, EXEC_VERB_KIND);
    if (bytes !== undefined) put(folder, bytes);
  } finally {
    close(folder);
  }
}

async function compile(
  state: ContainerState,
  root: string,
  file: string,
): Promise<Program | undefined> {
  const { record, process } = state;
  const { spec, cgroupsPath, resctrl } = record;
  const { init } = process!;
  const hasMore = hasUserNamespace(spec) || hasListener(spec) || resctrl !== undefined;
  if (hasMore || !isInitialUserNamespace() || !file.startsWith("/")) return undefined;
  const location = cgroupsPath === undefined
    ? undefined
    : locateCgroup(detectLayout(), cgroupsPath);
  const { join, joinDirectory } = groupOf(state, undefined);
  const [line] = readText(`/proc/${init.pid}/cgroup`).match(/^0::.*$/m) ?? [];
  if (joinDirectory !== undefined && line === undefined) return undefined;
  const own = ownProcess(spec);
  const profile = spec.linux?.seccomp;
  const program = compileExec({
    process: own,
    ownArguments: true,
    spec,
    namespaces: namespacesOf(spec),
    cgroup: { files: join, descriptor: joinDirectory === undefined ? undefined : GROUP },
    seccomp: profile && await filterFor(record, root, profile),
    lastCapability: lastCapability(),
    detached: false,
    preserved: { first: joinDirectory === undefined ? GROUP : GROUP + 1, count: 0 },
  });
  return compileExecVerb({
    init,
    freezer: location && freezerOf(location),
    group: joinDirectory === undefined ? undefined : { directory: joinDirectory, line: line! },
    program: encodeElf(program, arch).bytes,
    file,
  });
}

/** Makes the file whole, or not at all: another one that does the same may have been first. */
function put(folder: number, bytes: Uint8Array<ArrayBuffer>): void {
  const fd = trySyscall("openat", folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0o600);
  if (fd < 0) return;
  try {
    writeAll(fd, bytes);
    const from = `/proc/self/fd/${fd}`;
    trySyscall("linkat", AT_FDCWD, from, folder, "exec", AT_SYMLINK_FOLLOW);
  } finally {
    close(fd);
  }
}
