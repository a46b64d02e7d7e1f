import { joined } from "../buffers.ts";
import type { Answer } from "./transport.ts";

/**
 * Reads a stream whole, up to a bound; a longer one is let go at once.
 *
 * @throws what `tooLong` makes.
 */
export function readBounded(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  max: number,
  tooLong: () => Error,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  const read = async () => (await reader.read()).value;
  return gather(read, () => void reader.cancel().catch(() => {}), max, tooLong);
}

/** The same of an answer's body. */
export function readAnswer(
  answer: Answer,
  max: number,
  tooLong: () => Error,
): Promise<Uint8Array<ArrayBuffer>> {
  return gather(() => answer.read(), () => answer.cancel(), max, tooLong);
}

async function gather(
  read: () => Promise<Uint8Array<ArrayBuffer> | undefined>,
  cancel: () => void,
  max: number,
  tooLong: () => Error,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let total = 0;
  for (let part = await read(); part !== undefined; part = await read()) {
    total += part.length;
    if (total > max) {
      cancel();
      throw tooLong();
    }
    parts.push(part);
  }
  return joined(parts, total);
}
