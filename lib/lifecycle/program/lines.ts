import {
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
export function readBytes(s: Scope, file: string, missing: Label): Pick<Reading, "read" | "byte"> {
  const { p } = s;
  const fd = s.descriptor(file);
  const byte = p.variable("byte", 4);
  p.call("openat", [AT_FDCWD, p.string(file), O_RDONLY | O_CLOEXEC, 0], {
    result: fd,
    negative: missing,
  });
  const read = (end: Label) => p.call("read", [valueOf(fd), byte, 1], { negative: end, zero: end });
  return { read, byte };
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

/**
 * Goes on at the next step while this very process runs; one that only waits to be reaped does not. As `isAlive`.
 *
 * Its name may hold any characters, but no more than fifteen: what comes behind the last parenthesis is recognised by
 * the number of its fields.
 */
export function unlessEnded(s: Scope, { pid, startTime }: ProcessId, ended: Label): void {
  const { p } = s;
  const { read, byte } = readBytes(s, `/proc/${pid}/stat`, ended);
  const spaces = p.variable("spaces", 4);
  const state = p.variable("state", 4);
  const next = s.label("next byte");
  const name = s.label("end of the name");
  const field = s.label("next field");
  const kept = s.label("state");
  const compare = s.label("start time");
  p.place(next);
  read(ended);
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
  for (const letter of ENDED) p.jumpIfEqual(valueOf(state), letter, ended);
  for (const character of `${startTime} `) {
    const same = s.label(character);
    read(ended);
    p.jumpIfEqual(valueOf(byte), character.charCodeAt(0), same);
    p.jump(ended);
    p.place(same);
  }
}
