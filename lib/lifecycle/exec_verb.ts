import {
  arch,
  encodeElf,
  encodeMapped,
  isInitialUserNamespace,
  type Program,
  readText,
} from "../../ffi/mod.ts";
import { detectLayout, locateCgroup } from "../cgroup/mod.ts";
import { lastCapability } from "../security/mod.ts";
import type { Process, Spec } from "../spec/mod.ts";
import { filterFor, groupOf, namespacesOf } from "./exec.ts";
import { freezerOf } from "./freezer.ts";
import { EXEC_VERB_KIND } from "./offer_exec.ts";
import { isAlive } from "./process_id.ts";
import {
  compileEngineExecVerb,
  compileExec,
  compileExecVerb,
  type ExecInput,
  hasListener,
  hasUserNamespace,
  prepareOwnExecution,
  type WalkedExec,
} from "./program/mod.ts";
import { readState } from "./state.ts";

// What the launcher (scripts/verbs.sh) walks when something is to be executed in a container, made ready by those who
// have executed something before; see program/exec_verb.ts and engine_exec_verb.ts.

/** From 5 on an exec's program has the init's pidfd, and then the v2 group. */
const GROUP = 6;

/** The container's own process, but for its arguments and a terminal. */
export function ownProcess({ process }: Spec): Process {
  return { ...process!, args: [], terminal: false, consoleSize: undefined };
}

/** A running container's exec of its own process with other arguments. @throws {SyscallError} {CrateError} */
export function execVerb(
  root: string,
  id: string,
  file: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const own = { process: ownProcess, detached: false, prepareOwn: prepareOwnExecution };
  return encode(root, id, file, own, compileExecVerb);
}

/** A running container's exec of an engine's process. @throws {SyscallError} {CrateError} */
export function engineExecVerb(
  root: string,
  id: string,
  file: string,
  text: Uint8Array<ArrayBuffer>,
  process: (spec: Spec) => Process,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const engines = { process, detached: true, engine: {} };
  return encode(
    root,
    id,
    file,
    engines,
    (exec) => compileEngineExecVerb({ ...exec, process: text }),
  );
}

/** What of an exec's input is not the container's. */
type Asked = Pick<ExecInput, "detached" | "engine" | "prepareOwn"> & {
  readonly process: (spec: Spec) => Process;
};

/** The file of a program; undefined when there is more to an exec in the container than it does. */
async function encode(
  root: string,
  id: string,
  file: string,
  asked: Asked,
  compile: (exec: WalkedExec) => Program,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const state = readState(root, id);
  if (state?.process === undefined || !isAlive(state.process.init)) return undefined;
  const { record, process: { init } } = state;
  const { spec, cgroupsPath, resctrl } = record;
  const hasMore = hasUserNamespace(spec) || hasListener(spec) || resctrl !== undefined;
  if (hasMore || !isInitialUserNamespace() || !file.startsWith("/")) return undefined;
  const location = cgroupsPath === undefined
    ? undefined
    : locateCgroup(detectLayout(), cgroupsPath);
  const { join, joinDirectory } = groupOf(state, undefined);
  const [line] = readText(`/proc/${init.pid}/cgroup`).match(/^0::.*$/m) ?? [];
  if (joinDirectory !== undefined && line === undefined) return undefined;
  const profile = spec.linux?.seccomp;
  const program = compileExec({
    ...asked,
    process: asked.process(spec),
    spec,
    namespaces: namespacesOf(spec),
    cgroup: { files: join, descriptor: joinDirectory === undefined ? undefined : GROUP },
    seccomp: profile && await filterFor(record, root, profile),
    lastCapability: lastCapability(),
    preserved: { first: joinDirectory === undefined ? GROUP : GROUP + 1, count: 0 },
  });
  const walked = compile({
    init,
    freezer: location && freezerOf(location),
    group: joinDirectory === undefined ? undefined : { directory: joinDirectory, line: line! },
    program: encodeElf(program, arch).bytes,
    file,
  });
  return encodeMapped(walked, arch, EXEC_VERB_KIND);
}
