import {
  AT_FDCWD,
  CLONE_NEWNET,
  close,
  errnoName,
  O_CLOEXEC,
  O_RDONLY,
  syscall,
  trySyscall,
} from "../../ffi/mod.ts";
import { NetlinkError } from "./errors.ts";

const SIGABRT = 6;
const LABEL = "enter the network namespace";

/**
 * Does something synchronous in another network namespace: this thread goes in, and comes back in any case.
 * JavaScript's synchronous calls are all of one thread, so that nothing else of this process notices. A process that
 * could not come back would do the rest of its work on the wrong network: it ends at once.
 *
 * @param namespace a descriptor of the namespace, setns(2).
 * @throws {NetlinkError} when the namespace cannot be entered: `EPERM` without CAP_SYS_ADMIN in it, `EINVAL` when the
 * descriptor is of something else.
 */
export function inNamespace<T>(namespace: number, body: () => T): T {
  const path = "/proc/thread-self/ns/net";
  const own = syscall("openat", AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  try {
    // In a user namespace below that of its own network it would get in, and not back.
    const stayed = trySyscall("setns", own, CLONE_NEWNET);
    if (stayed < 0) {
      throw new NetlinkError(LABEL, -stayed, {
        text: "coming back would be refused: it takes CAP_SYS_ADMIN over its own, too",
      });
    }
    const entered = trySyscall("setns", namespace, CLONE_NEWNET);
    if (entered < 0) throw new NetlinkError(LABEL, -entered);
    try {
      return body();
    } finally {
      const back = trySyscall("setns", own, CLONE_NEWNET);
      if (back < 0) end(-back);
    }
  } finally {
    close(own);
  }
}

function end(errno: number): never {
  const text = `crate: cannot return to its own network namespace: ${errnoName(errno)}\n`;
  trySyscall("write", 2, text, text.length);
  trySyscall("kill", Deno.pid, SIGABRT);
  return Deno.exit(134);
}
