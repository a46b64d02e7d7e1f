import { become, close, syscall } from "../../ffi/mod.ts";
import type { Starting } from "./notify.ts";
import { openProcess } from "./process_id.ts";
import { compileNotifier } from "./program/mod.ts";

/**
 * Gives this process over to waiting for a container's readiness: a program of some kilobytes, that tells the service
 * manager, and ends; or ends when the container has. Never returns.
 */
export function becomeNotifier({ init, ends: { from, to } }: Starting): never {
  // One that has ended is as good as one that has just told all that it had to.
  const pidfd = openProcess(init) ?? ended();
  return become(compileNotifier(init.pid), {
    name: "crate-notify",
    descriptors: [0, 1, 2, from, pidfd, to],
  });
}

/** A descriptor that says of itself what the pidfd of a process that has ended says. */
function ended(): number {
  const ends = new Int32Array(2);
  syscall("pipe2", new Uint8Array(ends.buffer), 0);
  close(ends[1]!);
  return ends[0]!;
}
