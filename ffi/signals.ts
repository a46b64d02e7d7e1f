import { SIG_SETMASK } from "./constants.ts";
import { readDirectory } from "./files.ts";
import { INTERPRETERS } from "./interpreter/bytes.ts";
import { timespec } from "./structs.ts";
import { addressOfBytes, arch, loadCode, syscall, trySyscall } from "./libc.ts";

// linux/signal.h: the kernel's struct sigaction is { handler, flags, restorer, mask }.
const SA_SIGINFO = 0x00000004;
const SA_RESTORER = 0x04000000;
const SA_RESTART = 0x10000000;
/** A realtime signal that neither the runtime nor a person sends. */
const SIGNAL = 63;
/** Milliseconds for the other threads to take it; on a machine that is busy they get to run late. */
const PATIENCE = 2000;
/** A tenth of a millisecond. */
const PAUSE = { tv_nsec: 100_000 };

let counter: Uint32Array<ArrayBuffer> | undefined;

/** Makes the signal's handler one that blocks all signals in the thread that runs it. */
function install(): Uint32Array<ArrayBuffer> {
  const { hex, patchCounter, entry, return: restorer } = INTERPRETERS[arch].signal;
  const count = new Uint32Array(1024);
  const code = Uint8Array.fromHex(hex);
  const address = addressOfBytes(new Uint8Array(count.buffer));
  new DataView(code.buffer).setBigUint64(patchCounter, BigInt(address), true);
  const page = loadCode(code);
  const action = new DataView(new ArrayBuffer(32));
  action.setBigUint64(0, BigInt(page + entry), true);
  const flags = SA_SIGINFO | SA_RESTART | (arch === "x86_64" ? SA_RESTORER : 0);
  action.setBigUint64(8, BigInt(flags), true);
  if (arch === "x86_64") action.setBigUint64(16, BigInt(page + restorer), true);
  syscall("rt_sigaction", SIGNAL, new Uint8Array(action.buffer), null, 8);
  return count;
}

/**
 * Blocks all signals in every thread of this process. Those sent from now on wait, and go to whatever
 * the process becomes: pending signals outlive execve(2). It cannot be undone.
 *
 * sigprocmask(2) is for one thread, and the runtime has several that would take the signal instead:
 * each is sent one whose handler blocks the rest.
 *
 * @throws {SyscallError}
 */
export function blockSignals(): void {
  counter ??= install();
  syscall("rt_sigprocmask", SIG_SETMASK, new Uint8Array(8).fill(0xff), null, 8);
  let sent = 0;
  counter[0] = 0;
  const own = syscall("gettid");
  const pid = syscall("getpid");
  for (const name of readDirectory("/proc/self/task")) {
    const thread = Number(name);
    if (thread !== own && trySyscall("tgkill", pid, thread, SIGNAL) === 0) sent++;
  }
  let end: number | undefined;
  for (let i = 0; Atomics.load(counter, 0) < sent; i++) {
    if (i < 100) {
      trySyscall("sched_yield");
      continue;
    }
    // Only now: the runtime's clock takes 0.1 ms to begin.
    end ??= performance.now() + PATIENCE;
    if (performance.now() >= end) return;
    trySyscall("nanosleep", timespec.pack(PAUSE), null);
  }
}
