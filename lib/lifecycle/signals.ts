import { CrateError } from "../errors.ts";

// signal(7): x86-64's and arm64's numbers, from 1.
const NAMES =
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP " +
  "TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";
const ALIASES: Readonly<Record<string, string>> = { IOT: "ABRT", CLD: "CHLD", POLL: "IO" };
const RTMIN = 34;
const RTMAX = 64;

/**
 * A signal's number from what a person types: `TERM`, `SIGTERM`, `15`, `RTMIN+3`.
 *
 * @throws {CrateError} `INVALID`.
 *
 * @example
 * ```ts
 * import { parseSignal } from "./signals.ts";
 * if (parseSignal("SIGTERM") !== 15) throw new Error();
 * ```
 */
export function parseSignal(word: string): number {
  if (/^\d{1,3}$/.test(word)) {
    const number = Number(word);
    if (number >= 1 && number <= RTMAX) return number;
  }
  const name = word.toUpperCase().replace(/^SIG/, "");
  const index = NAMES.split(" ").indexOf(ALIASES[name] ?? name);
  if (index >= 0) return index + 1;
  const match = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (match) {
    const offset = Number(match[3] ?? 0) * (match[2] === "-" ? -1 : 1);
    const number = (match[1] === "MIN" ? RTMIN : RTMAX) + offset;
    if (number >= RTMIN && number <= RTMAX) return number;
  }
  throw new CrateError(
    "INVALID",
    `${JSON.stringify(word)} is not a signal: a name such as TERM, or a number from 1 to 64`,
  );
}

/** A signal's name, `"SIGTERM"`. */
export function signalName(number: number): string {
  const name = NAMES.split(" ")[number - 1];
  if (name !== undefined) return `SIG${name}`;
  // 32 and 33 are libc's own.
  return number >= RTMIN ? `SIGRTMIN+${number - RTMIN}` : `signal ${number}`;
}
