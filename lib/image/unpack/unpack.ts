import { SyscallError, trySyscall } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { isLarge, releaseBuffer } from "../buffers.ts";
import { Hasher, loadHasher } from "../documents/mod.ts";
import { digestAlgorithm } from "../names/mod.ts";
import { quoted, TarReader } from "../tar/mod.ts";
import type { Descriptor, Digest } from "../types.ts";
import { type Compression, inflate, loadInflater, sniff } from "./inflate.ts";
import { type UnpackLimits, withDefaults } from "./limits.ts";
import { LayerWriter } from "./writer.ts";
import type { OverlayXattrs } from "./xattrs.ts";

/** What {@linkcode unpackLayer} needs. */
export interface UnpackOptions {
  /** The compressed bytes, from the blob's beginning. Its chunks are for this alone, and may be gone afterwards. */
  readonly source: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly descriptor: Descriptor;
  /** The digest of the uncompressed bytes, from the image's config. */
  readonly diffId: Digest;
  /** An empty directory to fill. After a failure it holds a part, for the caller to remove. */
  readonly directory: string;
  /** The directories of the layers below, the uppermost first. */
  readonly lowers?: readonly string[];
  /** The compressed bytes are also written here, but for the first `have`, which are there already. */
  readonly blob?: { readonly fd: number; readonly have: number };
  /** `trusted` for root; `user` inside a user namespace. */
  readonly xattrs: OverlayXattrs;
  readonly limits?: UnpackLimits;
  /** Called with how many compressed bytes are read. */
  readonly onProgress?: (compressed: number) => void;
  readonly signal?: AbortSignal;
}

/** What a layer was. */
export interface Unpacked {
  /** Uncompressed bytes. */
  readonly size: number;
  readonly entries: number;
  /** Devices that a user namespace cannot make, left out as podman and containerd do. */
  readonly skippedDevices: number;
}

const WRITE = 1 << 19;

/** Loads what a layer needs to be unpacked. */
export async function loadUnpacker(layer: Descriptor): Promise<void> {
  loadHasher(layer.size);
  await loadInflater(layer);
}

/**
 * Unpacks a layer into a directory in overlayfs's form, in one pass: its compressed size and digest, its
 * diffID and every entry are checked on the way. The files are in the page cache then, not on the
 * disk: who makes the directory count calls `syncfs` first.
 *
 * @throws {CrateError} `INVALID`: not the layer it should be, or a hostile one; `FAILED`: the disk is full;
 * `PERMISSION`: an owner that this user namespace does not have. The sentence names the layer and the entry.
 */
export async function unpackLayer(options: UnpackOptions): Promise<Unpacked> {
  const { descriptor, signal } = options;
  const limits = withDefaults(options.limits);
  const input = new Input(options);
  const hash = new Hasher(digestAlgorithm(options.diffId), descriptor.size);
  let writer: LayerWriter | undefined;
  let last: Uint8Array<ArrayBuffer> | undefined;
  try {
    writer = new LayerWriter(options.directory, options.lowers ?? [], options.xattrs, limits);
    const made = writer;
    const tar = new TarReader(made, { entries: limits.entries });
    let size = 0;
    const compression = await input.begin();
    // What is not compressed lies where the input lies, of which a digest is made, too.
    const isPlain = compression === "none";
    const known = { size: descriptor.size, hasDigest: true };
    for await (const chunk of inflate(input.chunks(), compression, known)) {
      size += chunk.length;
      if (size > limits.bytes) {
        throw new CrateError(
          "INVALID",
          `it has more than ${limits.bytes} bytes uncompressed, behind entry ${
            quoted(made.latest)
          }`,
        );
      }
      if (size > limits.free && size > input.size * limits.ratio) {
        throw new CrateError(
          "INVALID",
          `${input.size} compressed bytes become more than ${limits.ratio} times as many, ` +
            `behind entry ${quoted(made.latest)}`,
        );
      }
      // A decoder fills one buffer after the other: with the next one, the last one is full.
      const full = last;
      if (full !== undefined && full.buffer !== chunk.buffer && isLarge(full)) {
        const release = () => made.queue.whenDone(() => releaseBuffer(full));
        hash.whenRead(isPlain ? () => input.whenRead(release) : release);
      }
      last = chunk;
      hash.keep(chunk);
      tar.push(chunk);
      made.queue.submitWhenFull();
      await made.queue.drain(2);
      await hash.ready();
      signal?.throwIfAborted();
    }
    const finish = async () => {
      tar.finish();
      await made.finish();
    };
    // The last files are written while the digests are made. What is not the layer has no other fault.
    const finished = finish();
    const results = await Promise.allSettled([
      input.check(),
      checkDiffId(hash, options.diffId),
      finished,
    ]);
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return { size, entries: made.entries, skippedDevices: made.skipped };
  } catch (error) {
    await input.cancel(error);
    if (error instanceof CrateError) {
      throw new CrateError(error.code, `layer ${descriptor.digest}: ${error.message}`, {
        cause: error,
      });
    }
    throw error;
  } finally {
    await writer?.close();
    await Promise.all([hash.idle(), input.idle()]);
    // Of a small layer, that is all of it.
    if (last !== undefined) releaseBuffer(last);
    input.close();
  }
}

/** @throws {CrateError} when it is another. */
async function checkDiffId(hash: Hasher, diffId: Digest): Promise<void> {
  const found = await hash.digest();
  if (found === diffId) return;
  throw new CrateError(
    "INVALID",
    `its uncompressed bytes have the digest ${found}, and the image's config says ${diffId}`,
  );
}

/** The compressed side: counts, hashes, and keeps a copy. */
class Input {
  size = 0;
  readonly #options: UnpackOptions;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #hash;
  readonly #head: Uint8Array<ArrayBuffer>[] = [];
  #digest: Promise<Digest> | undefined;
  #last: Uint8Array<ArrayBuffer> | undefined;

  constructor(options: UnpackOptions) {
    this.#options = options;
    const { digest, size } = options.descriptor;
    this.#hash = new Hasher(digestAlgorithm(digest), size);
    this.#reader = options.source.getReader();
    options.signal?.addEventListener("abort", this.#abort);
  }

  /** Ends a read at once, even of a source that is silent. */
  readonly #abort = () => {
    this.cancel(this.#options.signal?.reason);
  };

  /** Reads enough to see what it is. */
  async begin(): Promise<Compression> {
    const head = new Uint8Array(4);
    let have = 0;
    while (have < head.length) {
      const chunk = await this.#read();
      if (chunk === undefined) break;
      this.#head.push(chunk);
      const part = chunk.subarray(0, head.length - have);
      head.set(part, have);
      have += part.length;
    }
    return sniff(head);
  }

  async *chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    yield* this.#head;
    this.#head.length = 0;
    for (;;) {
      const chunk = await this.#read();
      if (chunk === undefined) return;
      yield chunk;
    }
  }

  async #read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { descriptor, blob, onProgress, signal } = this.#options;
    signal?.throwIfAborted();
    const { done, value } = await this.#reader.read();
    signal?.throwIfAborted();
    if (done) {
      // It is made while the rest is inflated.
      this.#digest ??= this.#hash.digest();
      // After a failure nobody asks for it, and what it is made of may be gone.
      this.#digest.catch(() => {});
      return undefined;
    }
    if (this.size + value.length > descriptor.size) {
      throw new CrateError(
        "INVALID",
        `it has more than the ${descriptor.size} bytes it should have`,
      );
    }
    this.#hash.keep(value);
    await this.#hash.ready();
    this.#last = value;
    if (blob !== undefined) keep(blob.fd, value, this.size, blob.have);
    this.size += value.length;
    onProgress?.(this.size);
    return value;
  }

  /** @throws {CrateError} when it was not the blob. */
  async check(): Promise<void> {
    const { size, digest } = this.#options.descriptor;
    if (this.size !== size) {
      throw new CrateError("INVALID", `it has ${this.size} bytes and should have ${size}`);
    }
    const found = await (this.#digest ?? this.#hash.digest());
    if (found !== digest) throw new CrateError("INVALID", `its bytes have the digest ${found}`);
  }

  async cancel(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason).catch(() => {});
  }

  /** Calls a function when the digest of what was read so far needs it no more. */
  whenRead(act: () => void): void {
    this.#hash.whenRead(act);
  }

  /** Waits until no digest is being made. */
  idle(): Promise<void> {
    return this.#hash.idle();
  }

  /** Nobody needs what was read any more. */
  close(): void {
    this.#options.signal?.removeEventListener("abort", this.#abort);
    if (this.#last !== undefined) releaseBuffer(this.#last);
  }
}

/** Writes what of a chunk at `offset` of the blob is not there yet. */
function keep(fd: number, chunk: Uint8Array<ArrayBuffer>, offset: number, have: number): void {
  let at = Math.max(0, have - offset);
  while (at < chunk.length) {
    const part = chunk.subarray(at, at + WRITE);
    const count = trySyscall("pwrite64", fd, part, part.length, offset + at);
    if (count < 0) {
      const error = new SyscallError("pwrite64", -count);
      throw error.code === "ENOSPC"
        ? new CrateError("FAILED", "no space left on the device for the blob", { cause: error })
        : error;
    }
    at += count;
  }
}
