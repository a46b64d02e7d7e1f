import {
  close,
  EAGAIN,
  EINTR,
  MSG_DONTWAIT,
  P_PID,
  POLLIN,
  siginfo,
  trySyscall,
  WEXITED,
  WNOHANG,
} from "../../ffi/mod.ts";
import { SIGINFO_SIZE } from "./program/mod.ts";
import { untilReady } from "./ready.ts";
import type { Launched } from "./start.ts";
import { decodeExit, type Exit } from "./state.ts";
import type { ProcessId } from "./process_id.ts";

// Monitors of this process's containers that have told the end and may still be clearing away.
const ending = new Set<number>();

/** Reaps those of them that have ended. */
export function reapEnded(): void {
  const info = new Uint8Array(128);
  for (const pid of ending) {
    info.fill(0);
    const result = trySyscall("waitid", P_PID, pid, info, WEXITED | WNOHANG, null);
    // Zero and no pid: it is still at it. waitid(2)
    if (result < 0 || siginfo.get(info, "si_pid") === pid) ending.delete(pid);
  }
}

/** Waits for the end of a container, or another process, that has a monitor. */
export async function waitForExit(
  { control, monitor }: Pick<Launched, "control"> & { readonly monitor?: Pick<ProcessId, "pid"> },
): Promise<Exit> {
  const info = new Uint8Array(SIGINFO_SIZE);
  for (;;) {
    const got = trySyscall("recvfrom", control, info, SIGINFO_SIZE, MSG_DONTWAIT, null, 0);
    if (got === -EAGAIN) await untilReady(control, POLLIN);
    else if (got !== -EINTR) {
      close(control);
      reapEnded();
      if (monitor !== undefined) ending.add(monitor.pid);
      return got < SIGINFO_SIZE ? { code: 137, signal: 9 } : decodeExit(info);
    }
  }
}
