import {
  type Argument,
  AT_FDCWD,
  type Cell,
  encodeText,
  type Label,
  O_CLOEXEC,
  O_RDONLY,
  valueOf,
} from "../../../ffi/mod.ts";
import type { FreezerFiles } from "../../cgroup/mod.ts";
import type { ProcessId } from "../process_id.ts";
import type { Scope } from "./scope.ts";

// Programs that read text: a byte at a time, as nothing can look into the middle of what was read.

export const NEWLINE = 10;
const SPACE = 32;
const CLOSING = ")".charCodeAt(0);
/** Of a process that has ended and waits to be reaped, proc(5). */
const ENDED = ["Z", "X"].map((letter) => letter.charCodeAt(0));
/** Fields of /proc/pid/stat after the name in parentheses, each behind a space: the state, and when it started. */
const STATE = 1;
const START_TIME = 20;

/** Where a text is read, and what comes of it. */
export interface Reading {
  /** Writes the step that reads one byte, and where that one goes on when there is none. */
  read(end: Label): void;
  /** Where the byte is then; the bytes above it are zero. */
  readonly byte: Cell;
  readonly found: Label;
  readonly absent: Label;
  /** The text is how the line begins: what is read next is the byte after it. */
  readonly isBeginning?: boolean;
}

/** Looks for a line. */
export function findLine(s: Scope, text: string, reading: Reading): void {
  const { p } = s;
  const { read, byte, found, absent, isBeginning = false } = reading;
  const line = s.label("line");
  const skip = s.label("skip the line");
  p.place(line);
  for (const letter of encodeText(text)) {
    const matches = s.label(String.fromCharCode(letter));
    read(absent);
    p.jumpIfEqual(valueOf(byte), letter, matches);
    p.jumpIfEqual(valueOf(byte), NEWLINE, line);
    p.jump(skip);
    p.place(matches);
  }
  if (isBeginning) p.jump(found);
  else {
    read(found);
    p.jumpIfEqual(valueOf(byte), NEWLINE, found);
  }
  p.place(skip);
  read(absent);
  p.jumpIfEqual(valueOf(byte), NEWLINE, line);
  p.jump(skip);
}

/** Reads a file from its beginning, a byte at a time. @param missing where to go on when it cannot be opened. */
export function readBytes(
  s: Scope,
  file: string | Cell,
  missing: Label,
  below: Argument = AT_FDCWD,
): Pick<Reading, "read" | "byte"> & { readonly fd: Cell } {
  const { p } = s;
  const path = typeof file === "string" ? p.string(file) : file;
  const fd = s.descriptor("text");
  const byte = p.variable("byte", 4);
  p.call("openat", [below, path, O_RDONLY | O_CLOEXEC, 0], {
    result: fd,
    negative: missing,
  });
  const read = (end: Label) => p.call("read", [valueOf(fd), byte, 1], { negative: end, zero: end });
  return { fd, read, byte };
}

/** Goes on at the next step while the container's processes do not stand still. As `isPaused`. */
export function unlessPaused(
  s: Scope,
  freezer: FreezerFiles | undefined,
  found: Label,
): void {
  if (freezer === undefined) return;
  const { file, line } = freezer.frozen;
  const absent = s.label("not paused");
  findLine(s, line, { ...readBytes(s, file, absent), found, absent });
  s.p.place(absent);
}

/** Room for the numbers of a process as text, and something around them. */
export const PROCESS_TEXT = 24;

/** A process that a program has in cells: whoever has its file may write another one's there. */
export interface ProcessCells {
  readonly pid: Cell;
  /** The path of its /proc/pid/stat. */
  readonly stat: Cell;
  /** When it started, in digits, and a space; and how long that is. */
  readonly startTime: Cell;
  readonly length: Cell;
}

/** Cells with a process in them. */
export function processCells({ p }: Scope, { pid, startTime }: ProcessId): ProcessCells {
  const started = `${startTime} `;
  return {
    pid: p.variable("process", 4, numberBytes(pid)),
    stat: p.variable("process's stat", PROCESS_TEXT, `/proc/${pid}/stat`),
    startTime: p.variable("process's start time", PROCESS_TEXT, started),
    length: p.variable("its length", 4, numberBytes(started.length)),
  };
}

/** A number as it stands in a cell. */
export function numberBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

/**
 * Goes on at the next step while this very process runs; one that only waits to be reaped does not. As `isAlive`.
 */
export function unlessEnded(
  s: Scope,
  { stat, startTime, length }: ProcessCells,
  ended: Label,
): void {
  const { p } = s;
  const { fd, state } = readToStartTime(s, stat, ended);
  for (const letter of ENDED) p.jumpIfEqual(valueOf(state), letter, ended);
  const found = p.variable("start time", PROCESS_TEXT);
  const same = s.label("same start time");
  // More fields follow than fit.
  p.call("read", [valueOf(fd), found, PROCESS_TEXT], { negative: ended });
  p.compare(found, startTime, valueOf(length), same, ended);
  p.place(same);
}

/**
 * Reads a /proc/pid/stat up to when the process started: what is read next is that field.
 *
 * Its name may hold any characters, but no more than fifteen: what comes behind the last parenthesis is recognised by
 * the number of its fields.
 */
export function readToStartTime(
  s: Scope,
  file: string | Cell,
  missing: Label,
  below?: Argument,
): { readonly fd: Cell; readonly state: Cell } {
  const { p } = s;
  const { fd, read, byte } = readBytes(s, file, missing, below);
  const spaces = p.variable("spaces", 4);
  const state = p.variable("state", 4);
  const next = s.label("next byte");
  const name = s.label("end of the name");
  const field = s.label("next field");
  const kept = s.label("state");
  const compare = s.label("start time");
  p.place(next);
  read(missing);
  p.jumpIfEqual(valueOf(byte), CLOSING, name);
  p.jumpIfEqual(valueOf(byte), SPACE, field);
  p.jumpIfEqual(valueOf(spaces), STATE, kept);
  p.jump(next);
  p.place(name);
  p.set(spaces, 0);
  p.jump(next);
  p.place(field);
  p.subtract(spaces, valueOf(spaces), -1);
  p.jumpIfEqual(valueOf(spaces), START_TIME, compare);
  p.jump(next);
  p.place(kept);
  p.set(state, valueOf(byte));
  p.jump(next);
  p.place(compare);
  return { fd, state };
}
