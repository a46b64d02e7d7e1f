import {
  AT_FDCWD,
  type Cell,
  CLOCK_REALTIME,
  EAGAIN,
  F_SETFL,
  iovec,
  type Label,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_NONBLOCK,
  O_WRONLY,
  type Place,
  placeIn,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Scope } from "./scope.ts";

// A detached container's log: frames of what one read brought, so that a program without any string
// handling can write it: { u64 seconds, u64 nanoseconds, u32 stream, u32 length } and the bytes.

/** The size of a frame's head. */
export const FRAME_SIZE = 24;
const BUFFER_SIZE = 16384;

/** One of the container's outputs on its way to the log. */
export interface LogStream {
  readonly readEnd: Cell;
  readonly writeEnd: Cell;
  readonly file: Cell;
  readonly buffer: Cell;
  /** The number in its frames: 1 output, 2 errors. */
  readonly number: number;
}

/** Opens the log. */
export function openLogFile(s: Scope, path: string): Cell {
  const { p } = s;
  const file = s.descriptor("log");
  const flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  p.call("openat", [AT_FDCWD, p.string(path), flags, 0o640], {
    label: "open the log",
    result: file,
  });
  return file;
}

/** Opens the log and a pipe for each of the two outputs. */
export function openLog(s: Scope, path: string): LogStream[] {
  const { p } = s;
  const file = openLogFile(s, path);
  const buffer = p.variable("log buffer", BUFFER_SIZE);
  return ([["stdout", 1], ["stderr", 2]] as const).map(([name, number]) => {
    const ends = p.variable(`${name} pipe`, 8);
    const readEnd = s.descriptor(`${name} read end`);
    const writeEnd = s.descriptor(`${name} write end`);
    const label = `make the ${name} pipe`;
    p.call("pipe2", [ends, O_CLOEXEC], { label });
    p.set(readEnd, valueOf(ends, 0));
    p.set(writeEnd, valueOf(ends, 4));
    p.call("fcntl", [valueOf(readEnd), F_SETFL, O_NONBLOCK], { label });
    return { readEnd, writeEnd, file, buffer, number };
  });
}

/** A container's terminal in the place of its outputs: what is read from the console is logged. */
export function consoleStream(s: Scope, file: Cell, master: Cell): LogStream {
  const buffer = s.p.variable("log buffer", BUFFER_SIZE);
  return { readEnd: master, writeEnd: master, file, buffer, number: 1 };
}

/**
 * Reads once and writes one frame.
 *
 * @param after `retry`: where to go on when there is nothing now, or nothing any more; `end`: the
 *   pollfd whose descriptor is taken out when there is nothing any more.
 */
export function writeLog(
  s: Scope,
  { readEnd, file, buffer, number }: LogStream,
  after: { end: Place | undefined; retry: Label },
): void {
  const { p } = s;
  const frame = p.variable("frame", FRAME_SIZE);
  const vector = p.variable("vector", 2 * iovec.size);
  p.pointer(placeIn(vector, 0), frame);
  p.pointer(placeIn(vector, iovec.size), buffer);
  const ended = s.label("ended");
  const failed = s.label("read failed");
  const next = s.label("next");
  const count = placeIn(frame, 20);
  p.call("read", [valueOf(readEnd), buffer, BUFFER_SIZE], {
    result: count,
    zero: ended,
    negative: failed,
  });
  const timed = s.label("timed");
  p.call("clock_gettime", [CLOCK_REALTIME, frame], { negative: timed });
  p.place(timed);
  p.set(placeIn(frame, 16), number);
  p.set(placeIn(vector, 8), FRAME_SIZE);
  p.set(placeIn(vector, iovec.size + 8), valueOf(frame, 20));
  // A full disk loses output; it must not stop the container.
  p.call("writev", [valueOf(file), vector, 2], { label: "write the log", negative: next });
  p.place(next);
  s.aside(() => {
    p.place(failed);
    p.jumpIfEqual(valueOf(frame, 20), -EAGAIN, after.retry);
    p.place(ended);
    if (after.end !== undefined) p.set(after.end, -1);
    p.jump(after.retry);
  });
}
