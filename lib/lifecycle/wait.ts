import { EINTR, pollfd, POLLIN, ProgramBuilder, runProgramAsync, timespec } from "../../ffi/mod.ts";

/**
 * Waits, on another thread, until a process has ended. pidfd_open(2)
 *
 * @param milliseconds how long at most.
 * @returns whether it has.
 */
export async function waitForEnd(pidfd: number, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    const left = Math.max(0, deadline - performance.now());
    const p = new ProgramBuilder();
    const result = p.variable("result", 4);
    const poll = p.variableStruct("pollfd", pollfd, { fd: pidfd, events: POLLIN });
    const time = p.variableStruct("timeout", timespec, {
      tv_sec: Math.floor(left / 1000),
      tv_nsec: Math.floor((left % 1000) * 1e6),
    });
    const back = p.label("back");
    p.call("ppoll", [poll, 1, time, 0, 8], { result, negative: back });
    p.place(back);
    p.return();
    const got = (await runProgramAsync(p.build())).value(result);
    if (got > 0) return true;
    if (got !== -EINTR && performance.now() >= deadline) return false;
  }
}
