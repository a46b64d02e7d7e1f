import assert from "node:assert/strict";
import fc from "fast-check";
import { type LogFrame, readFrames, tailFrames } from "./logs.ts";
import { FRAME_SIZE } from "./program/mod.ts";

interface Piece {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly stream: 1 | 2;
  readonly text: string;
}

/** Output as programs write it: printable, with ends of lines anywhere. */
const text = fc.string({ unit: fc.constantFrom(..."abc \n{}\tü"), minLength: 1, maxLength: 60 });
const piece: fc.Arbitrary<Piece> = fc.record({
  seconds: fc.integer({ min: 1_600_000_000, max: 4_000_000_000 }),
  nanoseconds: fc.nat(999_999_999),
  stream: fc.constantFrom(1, 2),
  text,
});
const pieces = fc.array(piece, { maxLength: 8 });

/** A frame as the monitor's program writes it, program/log.ts. */
function encode({ nanoseconds, seconds, stream, text }: Piece): Uint8Array<ArrayBuffer> {
  const content = new TextEncoder().encode(text);
  const bytes = new Uint8Array(FRAME_SIZE + content.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(seconds), true);
  view.setBigUint64(8, BigInt(nanoseconds), true);
  view.setUint32(16, stream, true);
  view.setUint32(20, content.length, true);
  bytes.set(content, FRAME_SIZE);
  return bytes;
}

function join(parts: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const plain = (frame: LogFrame) => ({ stream: frame.stream, text: decode(frame.bytes) });
const wanted = ({ stream, text }: Piece) => ({ stream: stream === 1 ? "stdout" : "stderr", text });

Deno.test("frames are read with their stream, bytes and time", () => {
  fc.assert(fc.property(pieces, (pieces) => {
    const log = join(pieces.map(encode));
    const { frames, used } = readFrames(log);
    assert.equal(used, log.length);
    assert.deepEqual(frames.map(plain), pieces.map(wanted));
    for (const [i, { at }] of frames.entries()) {
      const { nanoseconds, seconds } = pieces[i]!;
      assert.equal(at.getTime(), Math.floor(seconds * 1000 + nanoseconds / 1e6));
    }
  }));
});

Deno.test("of a log that is still being written, the frames that are whole are read", () => {
  fc.assert(fc.property(pieces, fc.nat(), (pieces, cut) => {
    const parts = pieces.map(encode);
    const log = join(parts);
    const length = cut % (log.length + 1);
    const { frames, used } = readFrames(log.slice(0, length));
    let whole = 0;
    let end = 0;
    while (whole < parts.length && end + parts[whole]!.length <= length) {
      end += parts[whole++]!.length;
    }
    assert.deepEqual(frames.map(plain), pieces.slice(0, whole).map(wanted));
    assert.equal(used, end);
    // Read on from there, it is as if it had been read at once.
    const rest = readFrames(log.slice(used)).frames;
    assert.deepEqual([...frames, ...rest].map(plain), pieces.map(wanted));
  }));
});

Deno.test("after a frame that a full disk has cut, reading goes on at the next that is whole", () => {
  const more = fc.array(piece, { minLength: 4, maxLength: 8 });
  fc.assert(fc.property(pieces, piece, more, fc.nat(), (before, cut, after, where) => {
    const broken = encode(cut);
    const kept = broken.slice(0, 1 + where % (broken.length - 1));
    const parts = after.map(encode);
    const { frames } = readFrames(join([...before.map(encode), kept, ...parts]));
    const texts = frames.map(plain);
    assert.deepEqual(texts.slice(0, before.length), before.map(wanted));
    // The broken one takes bytes of those after it, as many as it lacks, and no more.
    let lost = broken.length - kept.length;
    let next = 0;
    while (next < parts.length && lost > 0) lost -= parts[next++]!.length;
    const left = after.slice(next).map(wanted);
    assert.deepEqual(texts.slice(texts.length - left.length), left);
  }));
});

Deno.test("no bytes make reading throw or use more than there are", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const { frames, used } = readFrames(new Uint8Array(bytes));
    assert(used <= bytes.length);
    assert(frames.every(({ bytes }) => bytes.length <= used));
  }));
});

/** The last lines of a text, one that is not ended counting as one. */
function tail(text: string, count: number): string {
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  return count === 0 ? "" : lines.slice(-count).join("");
}

Deno.test("the last lines are those of the whole output, wherever frames begin", () => {
  fc.assert(fc.property(pieces, fc.nat(12), (pieces, count) => {
    const { frames } = readFrames(join(pieces.map(encode)));
    const result = tailFrames(frames, count);
    const all = pieces.map(({ text }) => text).join("");
    assert.equal(result.map(({ bytes }) => decode(bytes)).join(""), tail(all, count));
    assert(result.every(({ bytes }) => bytes.length > 0));
    // What is left keeps its stream and time.
    const kept = frames.slice(frames.length - result.length);
    assert.deepEqual(
      result.map(({ at, stream }) => [at, stream]),
      kept.map(({ at, stream }) => [at, stream]),
    );
  }));
});
