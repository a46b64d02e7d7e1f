import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { close, O_RDWR, open, writeAll } from "../../ffi/mod.ts";
import { SMALL_BLOB } from "./buffers.ts";
import { Download } from "./download.ts";
import type { Partial } from "./store/mod.ts";
import type { Descriptor, ImageSource } from "./types.ts";

const PIECE = 100_000;

/** A blob's file without a store, and what came before of it. */
function partialAt(path: string, descriptor: Descriptor, before: Uint8Array): Partial {
  const fd = open(path, O_RDWR);
  writeAll(fd, before, path);
  return {
    descriptor,
    isOpen: true,
    fd,
    have: before.length,
    append: (bytes) => writeAll(fd, bytes, path),
    *read() {},
    restart() {},
    flush: () => Promise.resolve(),
    commit: () => Promise.resolve(),
    release() {},
    [Symbol.dispose]: () => close(fd),
  };
}

/** A source of one blob, in pieces that each have their memory, or all together. */
function sourceOf(bytes: Uint8Array<ArrayBuffer>, together: boolean): ImageSource {
  const never = () => Promise.reject(new Error("nobody asks for this"));
  return {
    name: "a test's",
    root: never,
    document: never,
    blob: (_, { offset = 0 } = {}) => {
      const whole = bytes.slice(offset);
      const parts: Uint8Array<ArrayBuffer>[] = [];
      for (let at = 0; at < whole.length; at += PIECE) {
        parts.push(together ? whole.subarray(at, at + PIECE) : whole.slice(at, at + PIECE));
      }
      return Promise.resolve(ReadableStream.from(parts));
    },
  };
}

Deno.test("a blob is read as it comes: small or large, in whatever pieces, from whatever was there", async () => {
  const path = Deno.makeTempFileSync();
  try {
    for (const size of [0, 1, 250_000, SMALL_BLOB, SMALL_BLOB + 1, 5_000_000]) {
      const bytes = new Uint8Array(size).map((_, i) => i * i >> 3);
      for (const have of new Set([0, size >> 1, Math.max(0, size - 1_000_000), size])) {
        // What is large is given back to the kernel piece by piece.
        for (const together of size - have > SMALL_BLOB ? [false] : [true, false]) {
          Deno.truncateSync(path);
          const descriptor = { mediaType: "", digest: "sha256:0", size } as const;
          using partial = partialAt(path, descriptor, bytes.subarray(0, have));
          const download = new Download(partial);
          const { signal } = new AbortController();
          const running = download.run(sourceOf(bytes, together), { signal });
          const parts: Uint8Array[] = [];
          for await (const part of download.read()) parts.push(part);
          await running;
          const what = `${size} bytes, ${have} there, together: ${together}`;
          assert.ok(Buffer.concat(parts).equals(bytes), what);
          assert.ok(Buffer.from(Deno.readFileSync(path)).equals(bytes), what);
        }
      }
    }
  } finally {
    Deno.removeSync(path);
  }
});
