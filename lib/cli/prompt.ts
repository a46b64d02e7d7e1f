import { decodeText } from "../../ffi/mod.ts";
import { say } from "./print.ts";

/** More is no password. Bytes. */
const MAX = 64 << 10;
const CONTROL_C = 3;
const CONTROL_D = 4;
const LINE_FEED = 10;
const RETURN = 13;
const CONTROL_U = 21;
const BACKSPACES = [8, 127];

/**
 * Asks on the terminal for what nobody shall see. The terminal is as before in every case, a signal
 * among them.
 *
 * @returns undefined when the answer is Ctrl-C, or nothing and Ctrl-D.
 * @throws the signal's reason
 */
export async function askSecret(
  question: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  // Who sees the question types, and would see the answer's echo.
  Deno.stdin.setRaw(true);
  try {
    say(question);
    const typed: number[] = [];
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    for (const buffer = new Uint8Array(256);;) {
      const count = await Promise.race([Deno.stdin.read(buffer), aborted]);
      if (count === null) return undefined;
      for (const byte of buffer.subarray(0, count)) {
        if (byte === CONTROL_C) return undefined;
        if (byte === CONTROL_D && typed.length === 0) return undefined;
        if (byte === RETURN || byte === LINE_FEED || byte === CONTROL_D) {
          return decodeText(new Uint8Array(typed));
        }
        if (byte === CONTROL_U) typed.length = 0;
        else if (BACKSPACES.includes(byte)) removeLast(typed);
        else if (typed.length < MAX) typed.push(byte);
      }
    }
  } finally {
    Deno.stdin.setRaw(false);
    say("\n");
  }
}

/** Takes away one character, whose bytes but the first begin with the bits 10. */
function removeLast(typed: number[]): void {
  while (typed.length > 0 && (typed.pop()! & 0xc0) === 0x80);
}
