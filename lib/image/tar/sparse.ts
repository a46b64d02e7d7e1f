import { CrateError } from "../../errors.ts";
import { BLOCK } from "./entry.ts";
import { numberAt } from "./numbers.ts";
import { tooManyPieces } from "./pax.ts";

// Which parts of a sparse file an archive has. A map is a flat list: offset, length, offset, length...

/** struct sparse in GNU's tar.h: two numbers of 12 bytes. */
const PIECE = 24;

/**
 * Adds the pieces of GNU's old format that stand in a block at `start`; one whose length field is empty
 * ends them.
 *
 * @throws {CrateError} `INVALID`
 */
export function addOldPieces(
  map: number[],
  block: Uint8Array,
  start: number,
  count: number,
  limit: number,
): void {
  for (let at = start; at < start + count * PIECE; at += PIECE) {
    if (block[at] === 0 || block[at + 12] === 0) return;
    if (map.length >= 2 * limit) throw tooManyPieces(limit);
    map.push(numberAt(block, at, 12), numberAt(block, at + 12, 12));
  }
}

/**
 * Checks that the pieces are in order, do not overlap, lie in a file of `size` bytes, and make
 * `stored` bytes together.
 *
 * @throws {CrateError} `INVALID`
 */
export function checkMap(map: readonly number[], size: number, stored: number): void {
  if (map.length % 2 !== 0) throw new CrateError("INVALID", "half a piece in its sparse map");
  let end = 0;
  let total = 0;
  for (let i = 0; i < map.length; i += 2) {
    const offset = map[i]!;
    const length = map[i + 1]!;
    // NaN fails here too.
    if (!(offset >= end && length >= 0 && offset + length <= size)) {
      throw new CrateError(
        "INVALID",
        `its sparse map has a piece at ${offset} of ${length} bytes, which is out of order or of the file`,
      );
    }
    end = offset + length;
    total += length;
  }
  if (total !== stored) {
    throw new CrateError(
      "INVALID",
      `its sparse map tells of ${total} bytes where ${stored} are stored`,
    );
  }
}

/**
 * The map of version 1.0, which stands before the content: decimal numbers, each with a line's end; first
 * the number of pieces; then padding to a whole block.
 */
export class MapReader {
  readonly map: number[] = [];
  /** Bytes read so far. */
  length = 0;
  #expected = -1;
  #value = 0;
  #digits = 0;

  constructor(readonly limit: number) {}

  /** Whether the map is complete, with its padding. */
  get done(): boolean {
    return this.#complete && this.length % BLOCK === 0;
  }

  get #complete(): boolean {
    return this.#expected >= 0 && this.map.length === this.#expected * 2;
  }

  /** Reads on. @returns where in the chunk it stopped. @throws {CrateError} `INVALID` */
  push(chunk: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && !this.done) {
      const byte = chunk[at++]!;
      this.length++;
      if (this.#complete) continue;
      if (byte === 0x0a && this.#digits > 0) {
        if (this.#expected >= 0) this.map.push(this.#value);
        else if (this.#value > this.limit) throw tooManyPieces(this.limit);
        else this.#expected = this.#value;
        this.#value = this.#digits = 0;
      } else {
        this.#value = this.#value * 10 + byte - 0x30;
        if (byte < 0x30 || byte > 0x39 || ++this.#digits > 16) {
          throw new CrateError("INVALID", "its sparse map has something that is not a number");
        }
      }
    }
    return at;
  }
}

/** The content of a sparse file as it comes, put where the map says. */
export class SparseContent {
  readonly #map: readonly number[];
  /** The piece at hand, and how many of its bytes are there. */
  #index = 0;
  #done = 0;

  constructor(map: readonly number[]) {
    this.#map = map;
  }

  /** Hands `chunk[start..end]` on, piece by piece. */
  push(
    chunk: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    data: (part: Uint8Array<ArrayBuffer>, offset: number) => void,
  ): void {
    for (let at = start; at < end;) {
      const length = this.#map[this.#index + 1]!;
      const part = Math.min(length - this.#done, end - at);
      if (part > 0) data(chunk.subarray(at, at + part), this.#map[this.#index]! + this.#done);
      at += part;
      this.#done += part;
      if (this.#done === length) {
        this.#index += 2;
        this.#done = 0;
      }
    }
  }
}
