import {
  addressOf,
  type Argument,
  type Cell,
  type Label,
  placeIn,
  valueOf,
} from "../../../ffi/mod.ts";
import { PROCESS_TEXT, readToStartTime } from "./lines.ts";
import type { Scope } from "./scope.ts";

// Programs that write numbers as text, for those who compute by taking away alone. Storing a digit clears the three
// bytes after it: digits are written from the left, into cells with room behind the last.

const ZERO = "0".charCodeAt(0);
/** The most digits that a pid has: proc(5), pid_max. */
export const PID_DIGITS = 7;
const ROOM = 3;

/** A text that is known when the program runs: where it begins, and its length, in cells. */
export interface Text {
  readonly base: Cell;
  readonly length: Cell;
}

/** Writes how often a weight goes into a value, less than ten times, and leaves the rest in the value. */
function writeDigit(s: Scope, value: Cell, weight: number, to: Cell, at: number): void {
  const { p } = s;
  const [digit, rest] = [p.variable("digit", 4), p.variable("rest", 4)];
  const [more, known] = [s.label("count"), s.label("digit")];
  p.set(digit, ZERO);
  p.place(more);
  p.compute(valueOf(value), weight, -1, { result: rest, negative: known });
  p.set(value, valueOf(rest));
  p.subtract(digit, valueOf(digit), -1);
  p.jump(more);
  p.place(known);
  p.set(placeIn(to, at), valueOf(digit));
}

/** The form of what {@linkcode writeClock} writes. */
export const CLOCK = "HH:MM:SS.mmm";
/** What each digit of it stands for: of the seconds of a day, then of a second's nanoseconds. */
const OF_DAY = [36000, 3600, 600, 60, 10, 1];
const OF_SECOND = [100_000_000, 10_000_000, 1_000_000];

/**
 * Writes a time of day, as `formatTime` has it.
 *
 * @param seconds since the day began; neither value is kept.
 */
export function writeClock(s: Scope, seconds: Cell, nanoseconds: Cell): Cell {
  const to = s.p.variable("time of day", CLOCK.length + ROOM);
  const [ofDay, ofSecond] = [OF_DAY.values(), OF_SECOND.values()];
  let value = seconds;
  for (const [at, letter] of [...CLOCK].entries()) {
    if (letter === ".") value = nanoseconds;
    if (/[:.]/.test(letter)) s.p.set(placeIn(to, at), letter.charCodeAt(0));
    else {
      const { value: weight } = (letter === "m" ? ofSecond : ofDay).next();
      writeDigit(s, value, weight!, to, at);
    }
  }
  return to;
}

/** Writes a pid. A NUL comes after the text. */
export function writePid(s: Scope, pid: Cell): Text {
  const { p } = s;
  const to = p.variable("pid's digits", PID_DIGITS + 1 + ROOM);
  const [left, base, length] = ["rest of the pid", "pid's text", "its length"].map((name) =>
    p.variable(name, 4)
  ) as [Cell, Cell, Cell];
  const known = s.label("as long");
  for (let digits = PID_DIGITS; digits > 0; digits--) {
    const shorter = s.label("shorter");
    p.set(length, digits);
    const least = digits === 1 ? 0 : 10 ** (digits - 1);
    p.compute(valueOf(pid), least, -1, { negative: shorter, zero: known, positive: known });
    p.place(shorter);
  }
  p.place(known);
  p.set(left, valueOf(pid));
  for (let i = 0; i < PID_DIGITS; i++) writeDigit(s, left, 10 ** (PID_DIGITS - 1 - i), to, i);
  p.set(base, addressOf(to, PID_DIGITS));
  p.subtract(base, valueOf(base), valueOf(length));
  return { base, length };
}

/**
 * Reads when a process started: digits, after which comes a space that is not counted.
 *
 * @param folder the descriptor of its /proc/pid.
 */
export function readStartTime(s: Scope, folder: Argument, missing: Label): Text {
  const { p } = s;
  const { fd } = readToStartTime(s, "stat", missing, folder);
  const text = p.variable("start time's digits", PROCESS_TEXT);
  const [base, length] = [p.variable("start time", 4), p.variable("its length", 4)];
  const space = p.string(" ");
  const known = s.label("start time");
  p.call("read", [valueOf(fd), text, PROCESS_TEXT], { negative: missing });
  p.set(base, text);
  for (let i = 1; i < PROCESS_TEXT; i++) {
    const [end, next] = [s.label("its end"), s.label("next digit")];
    p.compare(addressOf(text, i), space, 1, end, next);
    p.place(end);
    p.set(length, i);
    p.jump(known);
    p.place(next);
  }
  p.jump(missing);
  p.place(known);
  return { base, length };
}
