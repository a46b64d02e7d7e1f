import { close, trySyscall } from "../../ffi/mod.ts";
import type { Process, Spec } from "../spec/mod.ts";
import { isOwn } from "./claim.ts";
import { contentOf, isOfKind, put } from "./offers.ts";
import { openDirectory } from "./start.ts";
import { statePaths } from "./state.ts";

// A container's next exec, ready for the launcher (scripts/verbs.sh) as a program in its directory; crate does without
// where it cannot be there. What makes it, exec_verb.ts, is loaded when there is something to make.

/** The kind of the files: another one when what is in them, or how programs are encoded, changes. */
export const EXEC_VERB_KIND = "crx1";

/** More than engines say of a process that looks after a container's health. */
const MAX_PROCESS = 16384;

/** Makes people's next exec ready, which is the container's own process with other arguments. @throws {SyscallError} */
export async function offerExec(root: string, id: string): Promise<void> {
  await offer(root, id, "exec", async (file, folder) => {
    if (isOfKind(file, EXEC_VERB_KIND)) return;
    const { execVerb } = await import("./exec_verb.ts");
    const bytes = await execVerb(root, id, file);
    if (bytes !== undefined) put(folder, "exec", bytes);
  });
}

/**
 * Makes an engine's next exec ready when it has executed the same twice: looking whether a container is healthy is the
 * same again and again, what else is executed comes once.
 *
 * @param text what the engine's file says of the process.
 * @throws {SyscallError}
 */
export async function offerEngineExec(
  root: string,
  id: string,
  text: Uint8Array<ArrayBuffer>,
  process: (spec: Spec) => Process,
): Promise<void> {
  if (text.length > MAX_PROCESS) return;
  await offer(root, id, "engine-exec", async (file, folder) => {
    const last = contentOf(`${file}-last`, MAX_PROCESS + 1);
    const isSame = last !== undefined && last.length === text.length + 1 &&
      text.every((byte, i) => byte === last[i + 1]);
    if (isSame && last[0] === READY && isOfKind(file, EXEC_VERB_KIND)) return;
    const bytes = isSame
      ? await (await import("./exec_verb.ts")).engineExecVerb(root, id, file, text, process)
      : undefined;
    const note = new Uint8Array(text.length + 1);
    note[0] = bytes === undefined ? SEEN : READY;
    note.set(text, 1);
    if (bytes !== undefined) put(folder, "engine-exec", bytes);
    put(folder, "engine-exec-last", note);
  });
}

/** How a note of an engine's process begins: it was executed, and what is ready is of it. */
const [SEEN, READY] = [1, 2];

async function offer(
  root: string,
  id: string,
  name: string,
  make: (file: string, folder: number) => Promise<void>,
): Promise<void> {
  const { directory } = statePaths(root, id);
  const folder = openDirectory(directory);
  try {
    await make(`${directory}/${name}`, folder);
    // What names files of a directory that has another name by now is of no use.
    if (!isOwn({ fd: folder }, directory)) trySyscall("unlinkat", folder, name, 0);
  } finally {
    close(folder);
  }
}
