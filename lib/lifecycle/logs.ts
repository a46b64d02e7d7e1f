import { FRAME_SIZE } from "./program/mod.ts";

/** One piece of a container's output: what one read of the monitor's brought. */
export interface LogFrame {
  readonly at: Date;
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A length above this is not one that a monitor writes: the file was cut, by a full disk. */
const MAX_FRAME = 1 << 16;

/**
 * Reads a log's frames (see program/log.ts), those that are whole.
 *
 * @returns the frames, and how many bytes of the input they are.
 */
export function readFrames(bytes: Uint8Array<ArrayBuffer>): { frames: LogFrame[]; used: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: LogFrame[] = [];
  let at = 0;
  while (at + FRAME_SIZE <= bytes.length) {
    const seconds = Number(view.getBigUint64(at, true));
    const nanoseconds = Number(view.getBigUint64(at + 8, true));
    const stream = view.getUint32(at + 16, true);
    const length = view.getUint32(at + 20, true);
    if (length > MAX_FRAME || stream < 1 || stream > 2 || nanoseconds >= 1e9) {
      at = nextFrame(view, at + 1);
      continue;
    }
    if (at + FRAME_SIZE + length > bytes.length) break;
    frames.push({
      at: new Date(seconds * 1000 + nanoseconds / 1e6),
      stream: stream === 1 ? "stdout" : "stderr",
      bytes: bytes.slice(at + FRAME_SIZE, at + FRAME_SIZE + length),
    });
    at += FRAME_SIZE + length;
  }
  return { frames, used: at };
}

/** Where the next head may be that makes sense, after a frame that the disk had no room for. */
function nextFrame(view: DataView, from: number): number {
  for (let at = from; at + FRAME_SIZE <= view.byteLength; at++) {
    const stream = view.getUint32(at + 16, true);
    const plausible = (stream === 1 || stream === 2) &&
      view.getUint32(at + 20, true) <= MAX_FRAME &&
      view.getBigUint64(at + 8, true) < 1_000_000_000n &&
      view.getBigUint64(at, true) < 0x1_0000_0000n && view.getBigUint64(at, true) > 1_500_000_000n;
    if (plausible) return at;
  }
  return view.byteLength;
}

/**
 * The last lines of a log: the frames from the place on where `count` lines are left. An unfinished
 * last line counts as one.
 */
export function tailFrames(frames: readonly LogFrame[], count: number): LogFrame[] {
  if (count === 0) return [];
  let left = count;
  const last = frames.at(-1);
  if (last && last.bytes.at(-1) === NEWLINE) left++;
  for (let i = frames.length - 1; i >= 0; i--) {
    const { bytes } = frames[i]!;
    for (let j = bytes.length - 1; j >= 0; j--) {
      if (bytes[j] === NEWLINE && --left === 0) {
        return [{ ...frames[i]!, bytes: bytes.slice(j + 1) }, ...frames.slice(i + 1)]
          .filter((frame) => frame.bytes.length > 0);
      }
    }
  }
  return [...frames];
}

const NEWLINE = 10;
