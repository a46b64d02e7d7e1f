import { CrateError } from "../../errors.ts";
import { releaseBuffer, SMALL_BLOB } from "../buffers.ts";
import { Hasher } from "../documents/mod.ts";
import { digestAlgorithm } from "../names/mod.ts";
import type { Descriptor } from "../types.ts";
import { ConnectionError } from "./errors.ts";
import type { Settings } from "./options.ts";
import { backoff } from "./retry.ts";
import type { Answer } from "./transport.ts";

/** A connection that brought so many bytes was a good one: its end is the first failure again. */
const GOOD = 64 << 10;

/** What a blob's stream is made of. */
export interface Download {
  readonly descriptor: Descriptor;
  /** For messages: `the blob sha256:… of docker.io/library/alpine`. */
  readonly name: string;
  readonly offset: number;
  /** Whether its digest is another one's concern. */
  readonly unchecked: boolean;
  /** Asks for the blob from a byte on; the answer is a 200 or a 206. */
  readonly open: (offset: number) => Promise<Answer>;
  readonly settings: Settings;
  readonly signal?: AbortSignal;
}

/**
 * A blob as one stream, however many connections it takes: where one breaks, the next goes on at that byte. From a server that
 * sends everything again, what was had already is skipped. Read from its first byte, it errors at its end
 * when its digest differs; it errors in any case at the first byte too many.
 *
 * @returns once the first answer is there.
 */
export async function download(from: Download): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const { descriptor, name, settings, signal = settings.signal } = from;
  const { size, digest } = descriptor;
  if (from.offset > size || from.offset < 0) {
    throw new CrateError("INVALID", `${name} has ${size} bytes: none is at ${from.offset}`);
  }
  const checks = from.offset === 0 && !from.unchecked;
  const hash = checks ? new Hasher(digestAlgorithm(digest), size) : undefined;
  let position = from.offset;
  let failures = 0;
  let good = position + GOOD;
  let skip = 0;
  let answer: Answer | undefined;
  // A small blob comes in one piece of memory: of that, a digest is made without copying it.
  const rest = size - from.offset;
  const memory = rest <= SMALL_BLOB ? new Uint8Array(rest) : undefined;

  const connect = async (): Promise<Answer> => {
    const got = await from.open(position);
    try {
      skip = bytesToSkip(got, position, size, name);
    } catch (error) {
      got.cancel();
      throw error;
    }
    return got;
  };
  const check = async () => {
    const is = hash === undefined ? digest : await hash.digest();
    if (is !== digest) {
      throw new CrateError("INVALID", `${name} has the digest ${is} where ${digest} must be`);
    }
  };
  /** The next bytes that are new; undefined at the end. */
  const next = async (): Promise<Uint8Array<ArrayBuffer> | undefined> => {
    for (;;) {
      try {
        if (position < size) answer ??= await connect();
        const part = await answer?.read();
        if (part === undefined) {
          if (position === size) return undefined;
          const url = answer!.url;
          throw new ConnectionError(
            url,
            `broke off ${size - position} bytes before the end of ${name}`,
          );
        }
        if (skip >= part.length) {
          skip -= part.length;
          continue;
        }
        const fresh = skip > 0 ? part.subarray(skip) : part;
        skip = 0;
        const at = position - from.offset;
        position += fresh.length;
        if (position > size) {
          throw new CrateError("INVALID", `${name} has more than its ${size} bytes`);
        }
        if (memory === undefined) return fresh;
        memory.set(fresh, at);
        releaseBuffer(fresh);
        return memory.subarray(at, position - from.offset);
      } catch (error) {
        answer?.cancel();
        answer = undefined;
        if (!(error instanceof ConnectionError && error.passes)) throw error;
        // All that was promised is here: how the connection ends is nobody's concern.
        if (position === size) return undefined;
        failures = position >= good ? 1 : failures + 1;
        good = position + GOOD;
        if (failures >= settings.attempts) throw error;
        await settings.sleep(backoff(failures, settings.random), signal);
      }
    }
  };

  if (position < size) answer = await connect();
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const part = await next();
      if (part === undefined) {
        await check();
        controller.close();
      } else {
        if (memory === undefined) hash?.update(part);
        else hash?.keep(part);
        controller.enqueue(part);
      }
    },
    cancel: () => answer?.cancel(),
  }, { highWaterMark: 0 });
}

/** How many bytes of an answer's beginning are known already. */
function bytesToSkip(answer: Answer, position: number, size: number, name: string): number {
  if (answer.status !== 206) return position;
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.headers.get("content-range") ?? "");
  if (range === null || Number(range[1]) !== position) {
    throw new CrateError(
      "INVALID",
      `${answer.url.host} sends another part of ${name} than the one asked for`,
    );
  }
  if (range[2] !== "*" && Number(range[2]) !== size) {
    throw new CrateError("INVALID", `${name} has ${range[2]} bytes where ${size} must be`);
  }
  return 0;
}
