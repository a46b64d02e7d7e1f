import { canInflate, InflateError, Inflater, openLibc } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";

/** Input that lies in memory at once. Bytes. */
const INPUT = 1 << 18;
/** What is made of it lies in pieces of memory of so many bytes, and is given in halves. */
const OUTPUT = 1 << 19;
const PIECE = 1 << 18;

// A member's header, RFC 1952, 2.3.
const MAGIC = [0x1f, 0x8b, 8] as const;
const FLAGS_AT = 3;
const HEADER_SIZE = 10;
const FHCRC = 0x02;
const FEXTRA = 0x04;
const FNAME = 0x08;
const FCOMMENT = 0x10;
const RESERVED = 0xe0;
/** The sums behind it. */
const TRAILER_SIZE = 8;

/** Whether {@linkcode gunzipFast} works on this machine; what it needs is there afterwards. */
export function loadFastGunzip(): boolean {
  openLibc({ asynchronous: true });
  return canInflate();
}

/**
 * Uncompresses gzip on another thread, in pieces of at most 256 KiB, while the last piece is used. Neither CRCs nor sizes
 * are looked at: it is for those who have the digest of what comes out.
 *
 * @param first so many bytes lie in one piece of memory; what comes behind them in pieces of half a MiB.
 * @throws {CrateError} `INVALID`: no gzip, or cut off.
 */
export async function* gunzipFast(
  source: AsyncIterable<Uint8Array<ArrayBuffer>>,
  first = OUTPUT,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const members = new Members(source, first);
  try {
    for (let running = members.next();;) {
      const { part, isLast } = await running;
      // It goes on while somebody has this part.
      if (!isLast) {
        running = members.next();
        running.catch(() => {}); // who asks for the next part hears of it
      }
      for (let at = 0; at < part.length; at += PIECE) yield part.subarray(at, at + PIECE);
      if (isLast) break;
    }
    await members.drain();
  } catch (error) {
    if (!(error instanceof InflateError)) throw error;
    throw new CrateError("INVALID", `not valid gzip: ${error.message}`, { cause: error });
  } finally {
    await members.close();
  }
}

/** The members of a gzip stream, one behind the other. */
class Members {
  readonly #inflater = new Inflater(INPUT);
  readonly #source: AsyncIterator<Uint8Array<ArrayBuffer>>;
  /** What came last, and is not given to the inflater yet. */
  #rest: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #isWhole = false;
  #isClosed = false;
  #inMember = false;
  /** Whether there was a member already. */
  #isLater = false;
  #needsMemory = false;
  /** The thread's work, after which its memory is nobody's. */
  #work: Promise<unknown> = Promise.resolve();

  constructor(source: AsyncIterable<Uint8Array<ArrayBuffer>>, first: number) {
    this.#source = source[Symbol.asyncIterator]();
    this.#inflater.useMemory(first);
  }

  /** The next bytes, and whether there are no more. */
  async next(): Promise<{ part: Uint8Array<ArrayBuffer>; isLast: boolean }> {
    const inflater = this.#inflater;
    if (this.#needsMemory) inflater.useMemory(OUTPUT);
    this.#needsMemory = false;
    for (;;) {
      if (!this.#inMember && !await this.#begin()) return { part: inflater.take(), isLast: true };
      this.#inMember = true;
      if (this.#isClosed) return { part: inflater.take(), isLast: true };
      const run = inflater.run();
      this.#work = run.catch(() => {});
      const stop = await run;
      if (stop === "member") {
        this.#inMember = false;
        await this.#have(TRAILER_SIZE);
        if (inflater.pending.length < TRAILER_SIZE) throw new InflateError();
        inflater.skip(TRAILER_SIZE);
      } else if (stop === "output") {
        this.#needsMemory = true;
        return { part: inflater.take(), isLast: false };
      } else {
        await this.#fill();
        if (inflater.made >= PIECE) return { part: inflater.take(), isLast: false };
      }
    }
  }

  /** Reads a member's header. @returns false when there is none: what stands there otherwise is nothing. */
  async #begin(): Promise<boolean> {
    const inflater = this.#inflater;
    await this.#have(2);
    const [a, b] = inflater.pending;
    if (this.#isLater && (a !== MAGIC[0] || b !== MAGIC[1])) return false;
    for (;;) {
      const size = headerSize(inflater.pending);
      if (size !== undefined) {
        inflater.skip(size);
        inflater.begin();
        return this.#isLater = true;
      }
      const have = inflater.pending.length;
      if (this.#isWhole) throw new InflateError();
      await this.#fill();
      if (inflater.pending.length === have && !this.#isWhole) {
        throw new InflateError(`its header has more than ${have} bytes`);
      }
    }
  }

  /** Waits for so many bytes that are not read. */
  async #have(count: number): Promise<void> {
    while (this.#inflater.pending.length < count && !this.#isWhole) await this.#fill();
  }

  /** Gives the inflater what is there, or what comes next. */
  async #fill(): Promise<void> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#source.next();
      if (done) {
        this.#isWhole = true;
        return this.#inflater.end();
      }
      this.#rest = value;
    }
    this.#rest = this.#rest.subarray(this.#inflater.give(this.#rest));
  }

  /** Takes what stands behind the last member. */
  async drain(): Promise<void> {
    while (!this.#isWhole) this.#isWhole = (await this.#source.next()).done === true;
  }

  /** Waits for the thread, but not for a source that may be silent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#work;
    this.#source.return?.().catch(() => {});
  }
}

/** How long a member's header is; undefined when it is not all there. @throws {InflateError} it is none. */
function headerSize(bytes: Uint8Array): number | undefined {
  const known = Math.min(bytes.length, MAGIC.length);
  for (let i = 0; i < known; i++) {
    if (bytes[i] !== MAGIC[i]) throw new InflateError("it does not begin as gzip does");
  }
  if (bytes.length < HEADER_SIZE) return undefined;
  const flags = bytes[FLAGS_AT]!;
  if ((flags & RESERVED) !== 0) throw new InflateError("its header has flags that nobody knows");
  let at: number = HEADER_SIZE;
  if ((flags & FEXTRA) !== 0) {
    if (bytes.length < at + 2) return undefined;
    at += 2 + bytes[at]! + 256 * bytes[at + 1]!;
  }
  for (const text of [FNAME, FCOMMENT]) {
    if ((flags & text) === 0) continue;
    const end = bytes.indexOf(0, at);
    if (end < 0) return undefined;
    at = end + 1;
  }
  if ((flags & FHCRC) !== 0) at += 2;
  return at <= bytes.length ? at : undefined;
}
