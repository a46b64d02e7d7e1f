import {
  addressOf,
  type Argument,
  type Cell,
  encodeText,
  iovec,
  type Label,
  type Place,
  placeIn,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Text } from "./digits.ts";
import { findWords, latin1 } from "./find_words.ts";
import type { Scope } from "./scope.ts";

// A program that does once more what was done for something of another name: its strings and files are those of the last
// time, in which it puts the words of this time.

/** A word of the last time. */
export interface Word {
  readonly text: string;
  /** Where this time's, which is as long, stands when the program runs. */
  readonly place: Place;
  /** Where it stands in the file of the request. */
  readonly at: number;
}

/**
 * Part of a file: bytes with the last time's words in them, or a constant of such bytes; bytes without any, whatever they
 * look like; what stands at a place; a text; or as many zeros as a cell says.
 */
export type Piece =
  | Uint8Array
  | { readonly constant: Cell }
  | { readonly raw: Uint8Array }
  | { readonly from: Place; readonly length: number }
  | Text
  | { readonly zeros: Cell };

/** The most zeros at a place. */
const MAX_ZEROS = 64;
/** Fewer than writev(2) takes at once: IOV_MAX, limits.h. */
const MAX_PARTS = 1000;

/** A program's strings and files. */
export class Words {
  readonly #s: Scope;
  readonly #words: readonly Word[];
  readonly #cells = new Map<string, Cell>();
  readonly #patches: { readonly cell: Cell; readonly offset: number; readonly word: Word }[] = [];
  #zeros?: Cell;

  constructor(s: Scope, words: readonly Word[]) {
    this.#s = s;
    this.#words = words;
  }

  /** A string with this time's words, NUL-terminated. */
  string(text: string): Cell {
    return this.#cell(encodeText(`${text}\0`), text);
  }

  /** Bytes with this time's words. */
  bytes(bytes: Uint8Array, name: string): Cell {
    return this.#cell(bytes, name);
  }

  #cell(bytes: Uint8Array, name: string): Cell {
    const key = latin1(bytes);
    const known = this.#cells.get(key);
    if (known !== undefined) return known;
    const found = findWords(key, this.#words.map(({ text }) => text));
    const { p } = this.#s;
    const cell = found.length === 0 ? p.bytes(bytes, name) : p.variable(name, bytes.length, bytes);
    for (const { at, word } of found) {
      this.#patches.push({ cell, offset: at, word: this.#words[word]! });
    }
    this.#cells.set(key, cell);
    return cell;
  }

  /** Where this time's words belong in all strings, of which none may come after this. */
  get places(): readonly { readonly cell: Cell; readonly offset: number; readonly word: Word }[] {
    return this.#patches;
  }

  /** The steps that put this time's words into all strings, of which none may come after them. */
  put(request: Argument, failed: Label): void {
    for (const { cell, offset, word: { text, at } } of this.#patches) {
      this.#s.p.call("pread64", [request, addressOf(cell, offset), text.length, at], {
        negative: failed,
      });
    }
  }

  /** Writes a file, whole. */
  write(fd: Argument, pieces: readonly Piece[], failed: Label): void {
    const parts = pieces.flatMap((piece) => this.#parts(piece));
    for (let at = 0; at < parts.length; at += MAX_PARTS) {
      this.#writeParts(fd, parts.slice(at, at + MAX_PARTS), failed);
    }
  }

  #writeParts(fd: Argument, parts: readonly Part[], failed: Label): void {
    const { p } = this.#s;
    const vectors = p.variable("parts", iovec.size * parts.length, this.#lengths(parts));
    let fixed = 0;
    const texts: Cell[] = [];
    parts.forEach((part, i) => {
      const base = placeIn(vectors, iovec.size * i + iovec.offset("iov_base"));
      const length = placeIn(vectors, iovec.size * i + iovec.offset("iov_len"));
      if ("from" in part) {
        p.pointer(base, part.from);
        if (typeof part.length === "number") {
          fixed += part.length;
          return;
        }
      } else p.set(base, valueOf(part.base));
      const size = part.length as Cell;
      p.set(length, valueOf(size));
      texts.push(size);
    });
    const [written, whole] = [this.#s.descriptor("written"), this.#s.label("whole")];
    p.call("writev", [fd, vectors, parts.length], { result: written, negative: failed });
    for (const length of texts) p.subtract(written, valueOf(written), valueOf(length));
    p.jumpIfEqual(valueOf(written), fixed, whole);
    p.jump(failed);
    p.place(whole);
  }

  #lengths(parts: readonly Part[]): Uint8Array {
    const bytes = new Uint8Array(iovec.size * parts.length);
    const view = new DataView(bytes.buffer);
    parts.forEach(({ length }, i) => {
      if (typeof length !== "number") return;
      view.setUint32(iovec.size * i + iovec.offset("iov_len"), length, true);
    });
    return bytes;
  }

  #parts(piece: Piece): Part[] {
    if ("base" in piece || "from" in piece) return [piece];
    const { p } = this.#s;
    if ("raw" in piece) {
      const { length } = piece.raw;
      return length === 0 ? [] : [{ from: placeIn(p.bytes(piece.raw), 0), length }];
    }
    if ("zeros" in piece) {
      this.#zeros ??= p.bytes(new Uint8Array(MAX_ZEROS), "zeros");
      return [{ from: placeIn(this.#zeros, 0), length: piece.zeros }];
    }
    const cell = "constant" in piece ? piece.constant : p.bytes(piece);
    const bytes = cell.content as Uint8Array;
    const parts: Part[] = [];
    let end = 0;
    const upTo = (at: number) => {
      if (at > end) parts.push({ from: placeIn(cell, end), length: at - end });
    };
    for (const { at, word } of findWords(latin1(bytes), this.#words.map(({ text }) => text))) {
      const { text, place } = this.#words[word]!;
      upTo(at);
      parts.push({ from: place, length: text.length });
      end = at + text.length;
    }
    upTo(bytes.length);
    return parts;
  }
}

/** What one element of writev(2) has. */
type Part = { readonly from: Place; readonly length: number | Cell } | Text;
