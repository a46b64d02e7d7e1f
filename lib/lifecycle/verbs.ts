import {
  arch,
  AT_FDCWD,
  createFile,
  encodeMapped,
  encodeText,
  exists,
  SyscallError,
  trySyscall,
  withAddress,
} from "../../ffi/mod.ts";
import { detectLayout, locateCgroup } from "../cgroup/mod.ts";
import { IMAGE_ANNOTATION } from "./annotations.ts";
import { freezerOf } from "./freezer.ts";
import { notifyDirectory } from "./notify.ts";
import { stateDocument } from "./oci_state.ts";
import type { ProcessId } from "./process_id.ts";
import { type CompiledVerbs, compileVerbs, VERBS_KIND, type VerbsInput } from "./program/mod.ts";
import { startFailurePath } from "./start_failure.ts";
import { type ContainerRecord, ENGINE_FILES, retiredPath, statePaths } from "./state.ts";

// A created container's verbs, ready to be walked without Deno: the launcher (scripts/verbs.sh) does it. They are
// the same as crate's own, and leave to it whatever is not the usual case; see program/verbs.ts.

/** Room for a path in struct sockaddr_un, with its NUL: a longer one has another address in each process. */
const PATH_SIZE = 108;

/**
 * Prepares the verbs of a container that is being created, beside their place.
 *
 * @returns what puts them there, whole, when it is; nothing where they would not fit or the directory is full: crate
 *   does without.
 */
export function prepareVerbs(
  root: string,
  record: Omit<ContainerRecord, "version">,
  init: ProcessId,
): () => void {
  const verbs = verbsOf(root, record, init);
  const verbsFile = `${statePaths(root, record.id).directory}/verbs`;
  const prepared = `${verbsFile}.new`;
  if (verbs === undefined || !writes(prepared, verbs.bytes)) return () => {};
  return () => trySyscall("renameat2", AT_FDCWD, prepared, AT_FDCWD, verbsFile, 0);
}

/** A container's verbs, and their file. */
export interface Verbs extends CompiledVerbs {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The verbs of a container, where they can be had. */
export function verbsOf(
  root: string,
  record: Omit<ContainerRecord, "version">,
  init: ProcessId,
): Verbs | undefined {
  const { id, spec, cgroupsPath } = record;
  const { directory, start } = statePaths(root, id);
  const verbsFile = `${directory}/verbs`;
  if (!directory.startsWith("/") || encodeText(start).length >= PATH_SIZE) return undefined;
  const location = cgroupsPath === undefined
    ? undefined
    : locateCgroup(detectLayout(), cgroupsPath);
  const { hooks = {} } = spec;
  const hasMore = hooks.poststop?.length || record.systemd || record.resctrl ||
    IMAGE_ANNOTATION in (spec.annotations ?? {}) || exists(notifyDirectory(directory));
  const states = (["created", "running", "paused", "stopped"] as const).map((status) => {
    const pid = status === "stopped" ? undefined : init.pid;
    return [status, `${JSON.stringify(stateDocument(record, status, pid), null, 2)}\n`];
  });
  const compiled = compileVerbs({
    init,
    directory,
    // The record first: without it nobody who finds the directory takes it for more than it is.
    files: ENGINE_FILES.toReversed(),
    socket: start,
    address: withAddress(start, (address) => address),
    failure: startFailurePath(directory),
    file: verbsFile,
    freezer: location && freezerOf(location),
    states: Object.fromEntries(states) as VerbsInput["states"],
    start: !hooks.startContainer?.length && !hooks.poststart?.length,
    delete: hasMore
      ? undefined
      // Where there is one already, crate is asked.
      : { groups: location?.directories ?? [], retired: retiredPath(root, id, "verbs") },
  });
  const bytes = encodeMapped(compiled.program, arch, VERBS_KIND);
  return bytes && { ...compiled, bytes };
}

function writes(file: string, bytes: Uint8Array): boolean {
  try {
    createFile(file, bytes, 0o600);
    return true;
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    trySyscall("unlinkat", AT_FDCWD, file, 0);
    return false;
  }
}
