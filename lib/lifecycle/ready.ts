import {
  EINTR,
  ENOMEM,
  O_CLOEXEC,
  O_NONBLOCK,
  pollfd,
  POLLIN,
  ProgramBuilder,
  runProgramAsync,
  syscall,
  SyscallError,
  timespec,
  trySyscall,
} from "../../ffi/mod.ts";

// One thread waits for all descriptors of this process's containers. The runtime has some thirty
// threads to lend: were each wait to take one, many containers at once would leave none to read what
// they write, and a container that cannot write does not end.

interface Waiter {
  readonly fd: number;
  readonly events: number;
  /** Until when it waits, on the clock of `performance.now()`. */
  readonly deadline: number;
  settle(ready: boolean): void;
  fail(error: unknown): void;
}

const waiters = new Set<Waiter>();
/** Whether somebody waits, and whether the thread is at it right now. */
let polling = false;
let asleep = false;
let bell: { readonly readEnd: number; readonly writeEnd: number } | undefined;

/**
 * Waits until a descriptor is ready. poll(2)
 *
 * @param events `POLLIN` or `POLLOUT`; an error or a hang-up counts as ready, too.
 * @param milliseconds how long at most, up to 2^31 - 1.
 * @returns false when it was not in time, or when {@linkcode forget} was called.
 * @throws {SyscallError}
 */
export function untilReady(fd: number, events: number, milliseconds?: number): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const waiter: Waiter = {
    fd,
    events,
    // The thread keeps the time, too: Deno's timers take some milliseconds to load.
    deadline: milliseconds === undefined ? Infinity : performance.now() + milliseconds,
    settle(ready) {
      waiters.delete(waiter);
      resolve(ready);
    },
    fail(error) {
      waiters.delete(waiter);
      reject(error);
    },
  };
  waiters.add(waiter);
  if (polling) ring();
  else pollAll();
  return promise;
}

/** Ends every wait for a descriptor that is about to be closed. */
export function forget(fd: number): void {
  for (const waiter of waiters) if (waiter.fd === fd) waiter.settle(false);
  ring();
}

/** Makes the thread look again at what there is to wait for. */
function ring(): void {
  // A full pipe rings already.
  if (asleep) trySyscall("write", bell!.writeEnd, new Uint8Array(1), 1);
}

function openBell(): { readEnd: number; writeEnd: number } {
  const pair = new Int32Array(2);
  syscall("pipe2", new Uint8Array(pair.buffer), O_CLOEXEC | O_NONBLOCK);
  return { readEnd: pair[0]!, writeEnd: pair[1]! };
}

async function pollAll(): Promise<void> {
  polling = true;
  try {
    const { readEnd } = bell ??= openBell();
    // Whoever was woken, or starts several things at once, may want to ask before the thread goes.
    for (await undefined; waiters.size > 0; await undefined) {
      const asked = [...waiters];
      const first = asked.reduce((least, { deadline }) => Math.min(least, deadline), Infinity);
      const descriptors = [{ fd: readEnd, events: POLLIN }, ...asked];
      const [rung, ...ready] = await poll(descriptors, first - performance.now());
      const now = performance.now();
      if (rung) trySyscall("read", readEnd, new Uint8Array(4096), 4096);
      asked.forEach((waiter, i) => {
        // One that was settled meanwhile may have closed its descriptor.
        if (!waiters.has(waiter)) return;
        if (ready[i]) waiter.settle(true);
        else if (waiter.deadline <= now) waiter.settle(false);
      });
    }
  } catch (error) {
    for (const waiter of waiters) waiter.fail(error);
  } finally {
    polling = false;
  }
}

/** A struct timespec of so many milliseconds, rounded up: who is woken too early would wait again. */
function span(milliseconds: number): Uint8Array<ArrayBuffer> {
  const whole = Math.max(0, Math.ceil(milliseconds));
  return timespec.pack({ tv_sec: Math.floor(whole / 1000), tv_nsec: (whole % 1000) * 1_000_000 });
}

/** ppoll(2) on another thread, for so many milliseconds at most. */
async function poll(
  on: readonly { fd: number; events: number }[],
  milliseconds: number,
): Promise<boolean[]> {
  const { size } = pollfd;
  const initial = new Uint8Array(size * on.length);
  on.forEach(({ fd, events }, i) => initial.set(pollfd.pack({ fd, events }), size * i));
  const p = new ProgramBuilder();
  const polled = p.variable("pollfds", initial.length, initial);
  const result = p.variable("result", 4);
  const back = p.label("back");
  const patience = milliseconds === Infinity ? 0 : p.bytes(span(milliseconds), "the patience");
  p.call("ppoll", [polled, on.length, patience, 0, 8], { result, negative: back });
  p.place(back);
  p.return();
  asleep = true;
  const run = await runProgramAsync(p.build()).finally(() => asleep = false);
  const got = run.value(result);
  if (got < 0) {
    if (got !== -EINTR && got !== -ENOMEM) throw new SyscallError("ppoll", -got);
    return on.map(() => false);
  }
  const view = new DataView(run.bytes(polled).buffer);
  return on.map((_, i) => view.getUint16(size * i + pollfd.offset("revents"), true) !== 0);
}
