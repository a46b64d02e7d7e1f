import { addressOfBytes, callAsync, callNow } from "../libc.ts";
import { loadMachineCode } from "../machine_code.ts";
import { INFLATE } from "./bytes.ts";

// The state that the machine code works on: see x86_64.s.
const IN = 0;
const IN_LIMIT = 8;
const OUT = 16;
const OUT_LIMIT = 24;
const HISTORY = 32;
const COUNT = 48;
const RESULT = 80;
const STATE_SIZE = 1 << 14;

/** So much behind its limits it may read, and write. */
const READ_BEHIND = 1024;
const WRITTEN_BEHIND = 320;
/** So many bytes are read whose bits are not used yet, at most. */
const HELD = 8;
/** A member of fewer bytes than these is worth no other thread, nor, likely, is the next one. */
const SHORT = 1 << 11;
/** As far as a match reaches back. RFC 1951, 2 */
const WINDOW = 1 << 15;

/** Why it stopped: for want of input or of room for output, or behind the last block of a member. */
export type InflateStop = "input" | "output" | "member";

const STOPS: readonly (InflateStop | undefined)[] = [undefined, "input", "output", "member"];

const FAULTS: Readonly<Record<number, string>> = {
  4: "a block of a kind that there is not",
  5: "the length of a stored block and its complement differ",
  6: "lengths of codes that cannot be",
  7: "a code that stands for nothing",
  8: "a distance to before the beginning",
};

/** What was to be inflated is not what it should be: cut off, when nothing else is said. */
export class InflateError extends Error {
  override name = "InflateError";

  constructor(message = "it ends too early") {
    super(message);
  }
}

/** Whether there is machine code for this machine's processor, without which there is no {@linkcode Inflater}. */
export function canInflate(): boolean {
  return loadMachineCode(INFLATE) !== undefined;
}

/**
 * Inflates (RFC 1951) on another thread, in a third of the time that zlib 1.2 takes. Sums are not looked at: whoever has a
 * digest of what is inflated needs none.
 *
 * Bytes are given and taken in turn with {@linkcode Inflater.run}, which is alone with its memory while it runs.
 */
export class Inflater {
  readonly #state = new Uint8Array(STATE_SIZE);
  readonly #view = new DataView(this.#state.buffer);
  readonly #address = addressOfBytes(this.#state);
  readonly #entry = loadMachineCode(INFLATE)!;
  readonly #input: Uint8Array<ArrayBuffer>;
  readonly #inputAddress: number;
  #from = 0;
  #to = 0;
  #isWhole = false;
  #output = new Uint8Array(0);
  #outputAddress = 0;
  /** Where what is not taken yet begins and ends. */
  #taken = 0;
  #made = 0;
  #history = 0;
  /** Where this member begins in the input, and whether the one before it was short. */
  #begun = 0;
  #isShort = false;

  /** @param size how many bytes of input it has room for, from 64 KiB on. */
  constructor(size: number) {
    this.#input = new Uint8Array(size + 2 * READ_BEHIND);
    this.#inputAddress = addressOfBytes(this.#input);
  }

  /** What was given and not read. */
  get pending(): Uint8Array<ArrayBuffer> {
    return this.#input.subarray(this.#from, this.#to);
  }

  /** Takes as much as it has room for. @returns how many bytes. */
  give(bytes: Uint8Array<ArrayBuffer>): number {
    // Bytes whose bits are held may be read again.
    const held = Math.min(this.#from, HELD);
    const moved = this.#from - held;
    if (moved > 0) this.#input.copyWithin(0, moved, this.#to);
    this.#to -= moved;
    this.#begun -= moved;
    this.#from = held;
    const count = Math.min(bytes.length, this.#input.length - 2 * READ_BEHIND - this.#to);
    this.#input.set(count === bytes.length ? bytes : bytes.subarray(0, count), this.#to);
    this.#to += count;
    return count;
  }

  /** No more is given. */
  end(): void {
    // What is cut off goes on with zeros, which it does not get far with.
    this.#input.fill(0, this.#to, this.#to + 2 * READ_BEHIND);
    this.#isWhole = true;
  }

  /** Leaves out bytes of the input, between members. */
  skip(count: number): void {
    this.#from += count;
  }

  /** What comes now is another member: it repeats nothing from before. */
  begin(): void {
    this.#history = this.#made;
    this.#begun = this.#from;
  }

  /**
   * Goes on in other memory. What was not taken yet is lost.
   *
   * @param size how many bytes it has room for.
   */
  useMemory(size: number): void {
    const window = this.#output.subarray(
      Math.max(this.#history, this.#made - WINDOW),
      this.#made,
    );
    this.#output = new Uint8Array(window.length + size + WRITTEN_BEHIND);
    this.#outputAddress = addressOfBytes(this.#output);
    this.#output.set(window);
    this.#taken = this.#made = window.length;
    this.#history = 0;
  }

  /** How many bytes were made and not taken. */
  get made(): number {
    return this.#made - this.#taken;
  }

  /** What was made since the last time, in the memory where it lies. Bytes behind it are yet to be written. */
  take(): Uint8Array<ArrayBuffer> {
    const part = this.#output.subarray(this.#taken, this.#made);
    this.#taken = this.#made;
    return part;
  }

  /**
   * Inflates until there is a reason to stop.
   *
   * @throws {InflateError} it is no deflated data, or ends too early.
   */
  async run(): Promise<InflateStop> {
    // What has an end is read to it, and so far behind as bits are held.
    const limit = this.#isWhole ? this.#to + HELD : this.#to - READ_BEHIND;
    if (this.#isShort) {
      this.#isShort = false;
      const near = this.#from + SHORT;
      this.#prepare(Math.min(limit, near));
      callNow(this.#entry, this.#address);
      const stop = this.#stopped();
      if (stop !== "input" || near >= limit) return this.#checked(stop);
    }
    if (limit < this.#from) return "input";
    this.#prepare(limit);
    await callAsync(this.#entry, this.#address);
    return this.#checked(this.#stopped());
  }

  /** @param limit where in the input it is to stop. */
  #prepare(limit: number): void {
    const view = this.#view;
    const set = (field: number, address: number) => view.setBigUint64(field, BigInt(address), true);
    const input = this.#inputAddress;
    const output = this.#outputAddress;
    set(IN, input + this.#from);
    set(IN_LIMIT, input + Math.max(0, limit));
    set(OUT, output + this.#made);
    set(OUT_LIMIT, output + this.#output.length - WRITTEN_BEHIND);
    set(HISTORY, output + this.#history);
  }

  /** Notes how far it has come. @throws {InflateError} it is no deflated data. */
  #stopped(): InflateStop {
    const get = (field: number) => Number(this.#view.getBigUint64(field, true));
    this.#from = get(IN) - this.#inputAddress;
    this.#made = get(OUT) - this.#outputAddress;
    this.#history = get(HISTORY) - this.#outputAddress;
    const result = get(RESULT);
    const stop = STOPS[result];
    // What is cut off goes on as something else.
    if (this.#isWhole && this.#from - (get(COUNT) >> 3) > this.#to) throw new InflateError();
    if (stop === undefined) throw new InflateError(FAULTS[result]!);
    this.#isShort = stop === "member" && this.#from - this.#begun < SHORT;
    return stop;
  }

  #checked(stop: InflateStop): InflateStop {
    if (this.#isWhole && stop === "input") throw new InflateError();
    return stop;
  }
}
