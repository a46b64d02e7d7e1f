import { close, EINTR, P_PID, trySyscall, WEXITED } from "../../../ffi/mod.ts";
import { openProcess, type ProcessId } from "../process_id.ts";
import { parseSignal } from "../signals.ts";
import { decodeExit } from "../state.ts";
import { waitForEnd } from "../wait.ts";

/** What a terminal, or whoever manages this process, sends to it, and means for the container. */
const FORWARDED = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGCONT",
  "SIGWINCH",
] as const;

const SIGINFO_SIZE = 128;

/**
 * Waits for the end of a restored init, a child of this process, and forwards signals to it meanwhile.
 *
 * @returns its exit code, or 128 + the signal's number.
 */
export async function waitInForeground(init: ProcessId): Promise<number> {
  const pidfd = openProcess(init);
  const listeners = FORWARDED.map((name) => {
    const number = parseSignal(name);
    const listener = () => {
      if (pidfd !== undefined) trySyscall("pidfd_send_signal", pidfd, number, null, 0);
    };
    Deno.addSignalListener(name, listener);
    return [name, listener] as const;
  });
  try {
    if (pidfd !== undefined) await waitForEnd(pidfd, Infinity);
    const info = new Uint8Array(SIGINFO_SIZE);
    while (trySyscall("waitid", P_PID, init.pid, info, WEXITED, null) === -EINTR);
    return decodeExit(info).code;
  } finally {
    for (const [name, listener] of listeners) Deno.removeSignalListener(name, listener);
    if (pidfd !== undefined) close(pidfd);
  }
}
