import { untilReady } from "../lifecycle/mod.ts";
import { NobodyReads } from "./print.ts";

/**
 * Waits for so many milliseconds, for a command that prints again then: where nobody reads any more, there is nothing to
 * wait for, and what is never printed would never find out.
 *
 * @throws {NobodyReads}
 */
export async function pauseWhileRead(milliseconds: number): Promise<void> {
  // Asked for nothing, poll(2) still tells of an error, which a pipe without readers is, and of a hang-up.
  if (await untilReady(1, 0, milliseconds)) throw new NobodyReads();
}
