import { CrateError } from "../../errors.ts";

// A zstd stream is frames, one behind the other, some of them to be skipped (RFC 8878, 3.1): pzstd and
// zstd:chunked write thousands. Deno's decoder reads the first one only, so each gets a decoder of its own,
// and where a frame ends is told by the sizes of its blocks.

type Bytes = Uint8Array<ArrayBuffer>;

/** What a decoder may need to keep: as much as `zstd --long=27` wants, and no more than `zstd -d` gives. */
const MAX_WINDOW = 2 ** 27;
const MAGIC = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd]);
const SKIPPABLE = 0x184d2a50;
const DICTIONARY_ID_SIZES = [0, 1, 2, 4];
const CHECKSUM_SIZE = 4;
/** Types of blocks: a byte that is repeated, and what there is not. */
const RUN = 1;
const RESERVED = 3;

function invalid(what: string): CrateError {
  return new CrateError("INVALID", `not valid zstd: ${what}`);
}

function littleEndian(bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

/** The frames of a zstd stream, without those to be skipped. */
export class ZstdFrames {
  readonly #source: AsyncIterator<Bytes>;
  #chunk: Bytes = new Uint8Array(0);

  constructor(source: AsyncIterable<Bytes>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /**
   * The bytes of the next frame, which must be read to their end before the one after it; undefined when
   * there is none.
   *
   * @throws {CrateError} `INVALID`, as reading it.
   */
  async next(): Promise<AsyncIterable<Bytes> | undefined> {
    while (await this.#more()) {
      const magic = await this.#take(4);
      if (magic.every((byte, i) => byte === MAGIC[i])) return this.#frame();
      // Sixteen numbers begin what is not for a decoder.
      const number = littleEndian(magic);
      if (number - number % 16 !== SKIPPABLE) throw invalid("what is no frame stands behind one");
      for (let left = littleEndian(await this.#take(4)); left > 0;) {
        left -= (await this.#upTo(left)).length;
      }
    }
  }

  async *#frame(): AsyncGenerator<Bytes> {
    yield MAGIC;
    for (const end = new FrameEnd(); !end.isReached;) {
      if (!await this.#more()) throw cutOff();
      const chunk = this.#chunk;
      const size = end.scan(chunk);
      this.#chunk = chunk.subarray(size);
      yield chunk.subarray(0, size);
    }
  }

  /** Whether there is something to read. */
  async #more(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const { done, value } = await this.#source.next();
      if (done) return false;
      this.#chunk = value;
    }
    return true;
  }

  async #upTo(size: number): Promise<Bytes> {
    if (!await this.#more()) throw cutOff();
    const part = this.#chunk.subarray(0, size);
    this.#chunk = this.#chunk.subarray(part.length);
    return part;
  }

  async #take(size: number): Promise<Bytes> {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size;) {
      const part = await this.#upTo(size - at);
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}

const cutOff = () => invalid("it ends in the middle of a frame");

/** Finds the end of a frame whose magic number is read already. */
class FrameEnd {
  #step: () => void = this.#descriptor;
  /** Bytes to pass over before the step's own, which are collected. */
  #skip = 0;
  #need = 1;
  #have = 0;
  readonly #small = new Uint8Array(16);
  #flags = 0;
  #isLast = false;

  get isReached(): boolean {
    return this.#isLast && this.#skip === 0;
  }

  /** @returns how many bytes of the chunk belong to the frame. */
  scan(chunk: Bytes): number {
    let at = 0;
    while (at < chunk.length && !this.isReached) {
      if (this.#skip > 0) {
        const size = Math.min(this.#skip, chunk.length - at);
        this.#skip -= size;
        at += size;
      } else {
        this.#small[this.#have++] = chunk[at++]!;
        if (this.#have < this.#need) continue;
        this.#have = 0;
        this.#step();
      }
    }
    return at;
  }

  #descriptor(): void {
    const flags = this.#flags = this.#small[0]!;
    const { window, dictionary, content } = headerSizes(flags);
    this.#need = window + dictionary + content;
    this.#step = this.#header;
  }

  #header(): void {
    const { window, dictionary, content } = headerSizes(this.#flags);
    const bytes = this.#small;
    const id = bytes.subarray(window, window + dictionary);
    if (littleEndian(id) !== 0) throw invalid("it needs a dictionary");
    const rest = bytes.subarray(window + dictionary, window + dictionary + content);
    const size = window === 1
      ? windowSize(bytes[0]!)
      : littleEndian(rest) + (content === 2 ? 256 : 0);
    if (size > MAX_WINDOW) {
      throw invalid(`to decode it takes ${size} bytes of memory; ${MAX_WINDOW} are allowed`);
    }
    this.#need = 3;
    this.#step = this.#block;
  }

  #block(): void {
    const word = littleEndian(this.#small.subarray(0, 3));
    const type = (word >> 1) & 3;
    if (type === RESERVED) throw invalid("it has a block of an unknown type");
    this.#skip = type === RUN ? 1 : word >> 3;
    if ((word & 1) === 0) return;
    this.#isLast = true;
    if ((this.#flags & 4) !== 0) this.#skip += CHECKSUM_SIZE;
  }
}

/** Sizes of a frame header's fields by its first byte, at least one byte in all. RFC 8878, 3.1.1.1.1 */
function headerSizes(flags: number): { window: number; dictionary: number; content: number } {
  const isSingle = (flags & 0x20) !== 0;
  const flag = flags >> 6;
  return {
    window: Number(!isSingle),
    dictionary: DICTIONARY_ID_SIZES[flags & 3]!,
    content: flag === 0 ? Number(isSingle) : 2 ** flag,
  };
}

/** RFC 8878, 3.1.1.1.2 */
function windowSize(byte: number): number {
  const base = 2 ** (10 + (byte >> 3));
  return base + base / 8 * (byte & 7);
}
