// Deno's `setTimeout` is Node's, and takes 5 ms to load: longer than most of what a command waits for by it. The timer of
// an AbortSignal is there from the start.

/** The longest time that a timer keeps, some 25 days. */
const LONGEST = 2 ** 31 - 1;

/**
 * Does something after a while. It keeps the process alive until then.
 *
 * @param milliseconds rounded up; 2^31 - 1 at most
 * @returns what prevents it.
 *
 * @example
 * ```ts
 * import { after } from "./timers.ts";
 * const prevent = after(1000, () => console.log("a second later"));
 * prevent();
 * ```
 */
export function after(milliseconds: number, act: () => void): () => void {
  const signal = AbortSignal.timeout(Math.min(Math.ceil(milliseconds), LONGEST));
  signal.addEventListener("abort", act, { once: true });
  return () => signal.removeEventListener("abort", act);
}

/**
 * Waits for so many milliseconds, rounded up, or until the signal.
 *
 * @throws the signal's reason
 *
 * @example
 * ```ts
 * import { pause } from "./timers.ts";
 * const start = performance.now();
 * await pause(20);
 * if (performance.now() - start < 19) throw new Error();
 * ```
 */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      prevent();
      reject(signal!.reason);
    };
    const prevent = after(milliseconds, () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    });
    signal?.addEventListener("abort", stop, { once: true });
  });
}
