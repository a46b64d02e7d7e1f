import type { Transform } from "node:stream";
import { CrateError } from "../../errors.ts";
import { ZstdFrames } from "./zstd.ts";

/** How a layer is compressed. */
export type Compression = "none" | "gzip" | "zstd";

const CHUNK = 1 << 18;
const SMALL_CHUNK = 1 << 12;

/** What a blob really is, by its first bytes: media types are often wrong. RFC 1952, RFC 8878 */
export function sniff(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  const [a, b, c, d] = head;
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return "zstd";
  // A frame to be skipped, such as zstd:chunked's and pzstd's.
  if (a! >= 0x50 && a! <= 0x5f && b === 0x2a && c === 0x4d && d === 0x18) return "zstd";
  return "none";
}

/**
 * Uncompresses in pieces of 256 KiB, no faster than they are taken.
 *
 * @param source may end or fail at any time.
 * @throws {CrateError} `INVALID`: not what it should be, or cut off.
 */
export async function* inflate(
  source: AsyncIterable<Uint8Array<ArrayBuffer>>,
  compression: Compression,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (compression === "none") {
    yield* source;
    return;
  }
  // Loaded when it is needed: it takes 10 ms.
  const { createGunzip, createZstdDecompress } = await import("node:zlib");
  if (compression === "gzip") {
    yield* decode(createGunzip({ chunkSize: CHUNK }), source, compression);
    return;
  }
  const frames = new ZstdFrames(source);
  let chunkSize = CHUNK;
  for (let frame = await frames.next(); frame !== undefined; frame = await frames.next()) {
    let size = 0;
    for await (const chunk of decode(createZstdDecompress({ chunkSize }), frame, compression)) {
      size += chunk.length;
      yield chunk;
    }
    // Thousands of small frames are much alike.
    chunkSize = Math.min(CHUNK, Math.max(SMALL_CHUNK, 2 * size));
  }
}

/** One decoder's output. */
async function* decode(
  stream: Transform,
  source: AsyncIterable<Uint8Array<ArrayBuffer>>,
  compression: Compression,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let failure: { readonly error: unknown } | undefined;
  const feed = async () => {
    for await (const chunk of source) {
      if (stream.destroyed) return;
      if (!stream.write(chunk)) {
        await new Promise<void>((resolve) => {
          const go = () => {
            stream.off("drain", go);
            stream.off("close", go);
            resolve();
          };
          stream.on("drain", go);
          stream.on("close", go);
        });
      }
    }
    stream.end();
  };
  const fed = feed().catch((error) => {
    failure = { error };
    stream.destroy();
  });
  try {
    for await (const chunk of stream) yield chunk as Uint8Array<ArrayBuffer>;
  } catch (error) {
    if (failure !== undefined) throw failure.error;
    const why = error instanceof Error ? error.message : String(error);
    throw new CrateError("INVALID", `not valid ${compression}: ${why}`, { cause: error });
  } finally {
    stream.destroy();
  }
  await fed;
  if (failure !== undefined) throw failure.error;
}

/** How a stream is compressed, and the stream. */
export async function sniffed(
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
): Promise<{ compression: Compression; all: AsyncIterable<Uint8Array<ArrayBuffer>> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Uint8Array<ArrayBuffer>[] = [];
  const head = new Uint8Array(4);
  for (let have = 0; have < head.length;) {
    const { done, value } = await iterator.next();
    if (done) break;
    first.push(value);
    head.set(value.subarray(0, head.length - have), have);
    have += value.length;
  }
  const all = async function* () {
    yield* first;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  return { compression: sniff(head), all: all() };
}
