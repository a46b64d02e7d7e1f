import { TAR_END, tarHeader, tarPadding } from "../tar/mod.ts";
import type { WalkEvent } from "./walk.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Zeros for the holes of files; never changed. */
const ZEROS: Bytes = new Uint8Array(1 << 16);

/** What was met on a walk, as a tar archive. @throws {CrateError} as the walk */
export function* tarOf(events: Iterable<WalkEvent>): Generator<Bytes> {
  let size = 0;
  let at = 0;
  for (const event of events) {
    if (event.type === "entry") {
      size = event.entry.size;
      at = 0;
      yield tarHeader(event.entry);
    } else if (event.type === "data") {
      yield* zeros(event.offset - at);
      yield event.bytes;
      at = event.offset + event.bytes.length;
    } else {
      yield* zeros(size - at);
      if (size % 512 !== 0) yield tarPadding(size);
    }
  }
  yield TAR_END;
}

function* zeros(count: number): Generator<Bytes> {
  for (let left = count; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
}
