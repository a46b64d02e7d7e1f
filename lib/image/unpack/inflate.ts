import type { Transform } from "node:stream";
import { CrateError } from "../../errors.ts";
import { releaseBuffer } from "../buffers.ts";
import type { Descriptor } from "../types.ts";
import { gunzipFast, loadFastGunzip } from "./gunzip.ts";

/** How a layer is compressed. */
export type Compression = "none" | "gzip" | "zstd";

const CHUNK = 1 << 18;
const SMALL_CHUNK = 1 << 12;
/** As many compressed bytes are inflated faster than node:zlib is loaded, which takes 20 ms. */
const SMALL_SOURCE = 2 << 20;
/** So much of what becomes of them lies in one piece of memory: a digest is made of that without copying it. */
const SMALL_RESULT = 4 << 20;
/** A slice of them, which may become a thousand times as large at once. */
const SLICE = 1 << 16;

/** Loads what inflates a layer, so that it is there when its bytes come. */
export async function loadInflater({ size, mediaType }: Descriptor): Promise<void> {
  const isZstd = mediaType.endsWith("zstd");
  if (!isZstd && loadFastGunzip()) return;
  if (isZstd || size > SMALL_SOURCE) await import("node:zlib");
  else await new DecompressionStream("gzip").writable.abort();
}

/** What a blob really is, by its first bytes: media types are often wrong. RFC 1952, RFC 8878 */
export function sniff(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  const [a, b, c, d] = head;
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return "zstd";
  // A frame to be skipped, such as zstd:chunked's and pzstd's.
  if (a! >= 0x50 && a! <= 0x5f && b === 0x2a && c === 0x4d && d === 0x18) return "zstd";
  return "none";
}

/** What is known of what is to be inflated. */
export interface InflateOptions {
  /** How many compressed bytes it has. */
  readonly size?: number;
  /** Whoever takes the bytes knows their digest: checksums among them need not be looked at. */
  readonly hasDigest?: boolean;
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
  { size = Infinity, hasDigest = false }: InflateOptions = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (compression === "none") return yield* source;
  if (compression === "gzip") {
    if (hasDigest && loadFastGunzip()) {
      return yield* gunzipFast(source, size <= SMALL_SOURCE ? SMALL_RESULT : undefined);
    }
    return yield* size <= SMALL_SOURCE ? gunzipSmall(source) : gunzip(source);
  }
  const { createZstdDecompress } = await import("node:zlib");
  const { ZstdFrames } = await import("./zstd.ts");
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

async function* gunzip(
  source: AsyncIterable<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { createGunzip } = await import("node:zlib");
  yield* decode(createGunzip({ chunkSize: CHUNK }), source, "gzip");
}

/** Without node:zlib, if it is what almost every gzip is: one member, and whole. */
async function* gunzipSmall(
  source: AsyncIterable<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const seen: Uint8Array<ArrayBuffer>[] = [];
  let given = 0;
  let failure: { readonly error: unknown } | undefined;
  const stream = new DecompressionStream("gzip");
  const reader = stream.readable.getReader();
  const feeding = feedSlices(stream.writable.getWriter(), source, seen).catch((error) => {
    failure = { error };
  });
  let end: "early" | "plain" | "other" = "early";
  try {
    const memory = new Uint8Array(SMALL_RESULT);
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      let part = next.value;
      if (given + part.length <= memory.length) {
        const { length } = part;
        memory.set(part, given);
        releaseBuffer(part);
        part = memory.subarray(given, given + length);
      }
      for (let at = 0; at < part.length; at += CHUNK) {
        const piece = part.subarray(at, at + CHUNK);
        given += piece.length;
        yield piece;
      }
    }
    end = "plain";
  } catch {
    // Whoever takes the bytes throws nothing in here: it is the decoder, or the source's end.
    end = "other";
  } finally {
    await reader.cancel().catch(() => {});
    // Who has had enough ends the source, too, which may be silent.
    if (end !== "early") await feeding;
  }
  if (failure !== undefined) throw failure.error;
  if (end === "plain") return;
  // Several members are node:zlib's, and so is the word for what is wrong. What is known is left out.
  for await (const chunk of gunzip(toAsync(seen))) {
    const known = Math.min(given, chunk.length);
    given -= known;
    if (known < chunk.length) yield chunk.subarray(known);
  }
}

/**
 * Writes what comes to a decoder slice by slice, and notes it. All of it comes, even when the decoder takes no more.
 *
 * @throws what the source throws; errors of the decoder are its reader's.
 */
async function feedSlices(
  writer: WritableStreamDefaultWriter<BufferSource>,
  source: AsyncIterable<Uint8Array<ArrayBuffer>>,
  seen: Uint8Array<ArrayBuffer>[],
): Promise<void> {
  let takes = true;
  const write = async (act: () => Promise<void>) => {
    if (takes) await act().catch(() => takes = false);
  };
  try {
    for await (const part of source) {
      seen.push(part);
      for (let at = 0; at < part.length; at += SLICE) {
        await write(() => writer.write(part.subarray(at, at + SLICE)));
      }
    }
    await write(() => writer.close());
  } catch (error) {
    await writer.abort(error).catch(() => {});
    throw error;
  }
}

async function* toAsync<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

/** What a decoder calls for each piece, as node names it. */
interface Decoding {
  readonly _handle?: Record<PropertyKey, unknown> | null;
}

/**
 * Makes an error of a decoder's one that whoever reads it hears of. Deno 2.9 throws those of zstd that come behind a
 * full piece where nobody can catch them: from its handle's functions, of which it keeps some under symbols.
 */
function heedErrors(stream: Transform): void {
  const handle = (stream as Decoding)._handle;
  if (!handle) return;
  for (const key of Reflect.ownKeys(handle)) {
    const call = handle[key];
    if (typeof call !== "function") continue;
    handle[key] = (...words: unknown[]) => {
      try {
        return Reflect.apply(call, handle, words);
      } catch (error) {
        stream.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    };
  }
}

/** One decoder's output. */
async function* decode(
  stream: Transform,
  source: AsyncIterable<Uint8Array<ArrayBuffer>>,
  compression: Compression,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  heedErrors(stream);
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
