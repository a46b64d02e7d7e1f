import { syscall } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { asOne, releaseBuffer, SMALL_BLOB } from "./buffers.ts";
import type { Partial } from "./store/mod.ts";
import type { ImageSource } from "./types.ts";

// A blob is written to its file as it comes, and read from there by whoever unpacks it, up to where the
// file has got: the two need not keep step, and a pull that goes on from an earlier one's bytes is no
// special case. What was just written is read from memory: the kernel's, and a small blob's bytes from our own.

const CHUNK = 1 << 18;

/** How a blob comes. */
export interface DownloadOptions {
  readonly signal: AbortSignal;
  /** Its stream, from the first byte on, where somebody has asked for it already. */
  readonly begun?: Promise<ReadableStream<Uint8Array<ArrayBuffer>>> | undefined;
  /** Told how many bytes are there. */
  readonly onBytes?: (have: number) => void;
}

/** A blob on its way into the store. */
export class Download {
  readonly #partial: Partial;
  #have: number;
  /** Whether so little is to come that it comes in one piece of memory, as resume.ts has it. */
  readonly #isSmall: boolean;
  /** All of them, as long as they lie in one piece. */
  #memory: Uint8Array<ArrayBuffer> | undefined;
  #ended = false;
  #failure: unknown;
  #wake = Promise.withResolvers<void>();

  constructor(partial: Partial) {
    this.#partial = partial;
    this.#have = partial.have;
    this.#isSmall = partial.descriptor.size - partial.have <= SMALL_BLOB;
  }

  /**
   * Fetches what is not there yet. Whoever reads it checks the digest of all of it.
   *
   * @throws {CrateError} what came was not the blob: what is there is forgotten
   */
  async run(source: ImageSource, { signal, begun, onBytes }: DownloadOptions): Promise<void> {
    const { descriptor } = this.#partial;
    try {
      // What was begun at the first byte is of no use to one that goes on.
      if (this.#have > 0) begun?.then((stream) => stream.cancel(), () => {});
      if (this.#have < descriptor.size) {
        const offset = this.#have;
        const stream = await (offset === 0 ? begun : undefined) ??
          await source.blob(descriptor, { offset, signal, unchecked: true });
        for await (const bytes of stream) {
          this.#partial.append(bytes);
          const { length } = bytes;
          this.#keep(bytes);
          this.#have += length;
          onBytes?.(this.#have);
          this.#tell();
        }
      }
      this.#ended = true;
      this.#tell();
      await this.#partial.flush();
    } catch (error) {
      this.#failure = error;
      if (error instanceof CrateError && error.code === "INVALID") this.#partial.restart();
      throw error;
    } finally {
      this.#tell();
    }
  }

  /** Ends whoever reads. */
  fail(reason: unknown): void {
    this.#failure ??= reason;
    this.#tell();
  }

  /** The blob's bytes from its beginning, as they come. */
  read(): ReadableStream<Uint8Array<ArrayBuffer>> {
    let at = 0;
    return new ReadableStream({
      pull: async (controller) => {
        while (at === this.#have && !this.#ended) {
          if (this.#failure !== undefined) throw this.#failure;
          await this.#wake.promise;
        }
        if (at === this.#have) return controller.close();
        const chunk = this.#memory?.subarray(at, at + CHUNK) ?? this.#readAt(at);
        at += chunk.length;
        controller.enqueue(chunk);
      },
    }, { highWaterMark: 0 });
  }

  /** What is large is gone afterwards. */
  #keep(bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.#isSmall) releaseBuffer(bytes);
    else if (this.#have === 0) this.#memory = bytes;
    else this.#memory = this.#memory && asOne(this.#memory, bytes);
  }

  #readAt(at: number): Uint8Array<ArrayBuffer> {
    const chunk = new Uint8Array(Math.min(CHUNK, this.#have - at));
    const count = syscall("pread64", this.#partial.fd, chunk, chunk.length, at);
    if (count === 0) throw new CrateError("FAILED", "a blob's file became shorter");
    return chunk.subarray(0, count);
  }

  #tell(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}
