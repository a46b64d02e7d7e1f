import { POLLIN } from "../../ffi/mod.ts";
import { untilReady } from "./ready.ts";

/** The longest that a timer of the runtime can run; some 24 days. */
const LONGEST = 2 ** 31 - 1;

/**
 * Waits until a process has ended. pidfd_open(2)
 *
 * @param milliseconds how long at most; `Infinity`: for ever.
 * @returns whether it has.
 */
export function waitForEnd(pidfd: number, milliseconds: number): Promise<boolean> {
  return untilReady(pidfd, POLLIN, milliseconds > LONGEST ? undefined : milliseconds);
}
