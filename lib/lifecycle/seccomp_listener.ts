import { close, encodeText, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type { Spec } from "../spec/mod.ts";
import { type Hooked, hookState } from "./hook_state.ts";
import { MAX_TOLD } from "./program/mod.ts";
import { connectTo } from "./sockets.ts";

// Whoever waits on linux.seccomp.listenerPath gets the listener of the filter, with the container's state.
// config-linux.md, "Seccomp", "The Container Process State"

/**
 * The socket of a config's listener, when it has one; disposing of it closes it.
 *
 * @throws {CrateError} `INVALID` when nobody listens.
 */
export function openListener(
  { linux }: Pick<Spec, "linux">,
): Disposable & { readonly descriptors: readonly number[] } {
  const path = linux?.seccomp?.listenerPath;
  const descriptors = path ? [connect(path)] : [];
  return { descriptors, [Symbol.dispose]: () => descriptors.forEach((fd) => close(fd)) };
}

function connect(path: string): number {
  try {
    return connectTo(path, "stream");
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError(
      "INVALID",
      `linux.seccomp.listenerPath ${path}: nobody listens: ${cause.code}`,
      { cause },
    );
  }
}

/**
 * What is sent with the listener.
 *
 * @param pid the process that the filter is of.
 * @param init the container's first one, and its status.
 * @throws {CrateError} `INVALID` when it is more than a message takes.
 */
export function listenerState(
  container: Pick<Hooked, "id" | "spec" | "bundle">,
  pid: number,
  init: { readonly pid: number; readonly status: string },
): Uint8Array<ArrayBuffer> {
  const { ociVersion, linux } = container.spec;
  const { listenerMetadata } = linux?.seccomp ?? {};
  const bytes = encodeText(JSON.stringify({
    ociVersion,
    fds: ["seccompFd"],
    pid,
    ...listenerMetadata === undefined ? {} : { metadata: listenerMetadata },
    state: JSON.parse(hookState({ ...container, directory: "" }, init.status, init.pid)),
  }));
  if (bytes.length <= MAX_TOLD) return bytes;
  throw new CrateError(
    "INVALID",
    `annotations and linux.seccomp.listenerMetadata take ${bytes.length} bytes, and a seccomp listener ` +
      `can be told ${MAX_TOLD}`,
  );
}
