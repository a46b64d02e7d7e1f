import type { Hash } from "node:crypto";
import { asOne, joined } from "../buffers.ts";
import type { Algorithm } from "../names/mod.ts";
import type { Digest } from "../types.ts";

/** As much is kept and hashed at once, which needs no node:crypto: it takes 20 ms to load. Bytes. */
const SMALL = 4 << 20;

/** As WebCrypto calls them. */
const NAMES: Readonly<Record<Algorithm, string>> = { sha256: "SHA-256", sha512: "SHA-512" };

/** node:crypto's hash, at once. */
export function nodeHash(algorithm: Algorithm): Hash {
  return process.getBuiltinModule("node:crypto").createHash(algorithm);
}

/** Loads what makes the digest of so many bytes, so that it is there when they come. */
export function loadHasher(size: number): void {
  if (size > SMALL) nodeHash("sha256");
  else void crypto.subtle;
}

/** The digest of bytes that come piece by piece. */
export class Hasher {
  readonly #algorithm: Algorithm;
  #kept: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;
  #hash: Hash | undefined;

  /** @param size how many bytes will come at least, where that is known. */
  constructor(algorithm: Algorithm, size = 0) {
    this.#algorithm = algorithm;
    if (size > SMALL) this.#hash = nodeHash(algorithm);
  }

  /** Whether what {@linkcode Hasher.keep} gets is needed until the end. */
  get keeps(): boolean {
    return this.#hash === undefined;
  }

  /** Takes bytes that may be changed afterwards. */
  update(bytes: Uint8Array<ArrayBuffer>): void {
    this.keep(this.#hash === undefined ? bytes.slice() : bytes);
  }

  /** Takes bytes that nobody changes as long as it {@linkcode Hasher.keeps} them. */
  keep(bytes: Uint8Array<ArrayBuffer>): void {
    this.#size += bytes.length;
    if (this.#hash === undefined) {
      this.#add(bytes);
      if (this.#size <= SMALL) return;
      this.#hash = nodeHash(this.#algorithm);
      for (const part of this.#kept) this.#hash.update(part);
      this.#kept = [];
    } else this.#hash.update(bytes);
  }

  /** Once, after the last byte. */
  async digest(): Promise<Digest> {
    if (this.#hash !== undefined) return `${this.#algorithm}:${this.#hash.digest("hex")}`;
    const all = joined(this.#kept, this.#size);
    this.#kept = [];
    const bytes = await crypto.subtle.digest(NAMES[this.#algorithm], all);
    return `${this.#algorithm}:${new Uint8Array(bytes).toHex()}`;
  }

  /** What lies behind the last part in memory is one part with it. */
  #add(bytes: Uint8Array<ArrayBuffer>): void {
    const last = this.#kept.at(-1);
    const both = last === undefined ? undefined : asOne(last, bytes);
    if (both === undefined) this.#kept.push(bytes);
    else this.#kept[this.#kept.length - 1] = both;
  }
}
