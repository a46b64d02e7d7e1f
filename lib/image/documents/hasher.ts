import type { Hash } from "node:crypto";
import type { Algorithm } from "../names/mod.ts";
import type { Digest } from "../types.ts";

/** As much is kept and hashed at once, which needs no node:crypto: it takes 20 ms to load. Bytes. */
const SMALL = 4 << 20;

/** Room at first, where nobody knows how much comes. Bytes. */
const FIRST = 1 << 16;

/** As WebCrypto calls them. */
const NAMES: Readonly<Record<Algorithm, string>> = { sha256: "SHA-256", sha512: "SHA-512" };

/** node:crypto's hash, at once. */
export function nodeHash(algorithm: Algorithm): Hash {
  return process.getBuiltinModule("node:crypto").createHash(algorithm);
}

/** The digest of bytes that come piece by piece. */
export class Hasher {
  readonly #algorithm: Algorithm;
  /** What came, while it is little. */
  #bytes: Uint8Array<ArrayBuffer>;
  #size = 0;
  #hash: Hash | undefined;

  /** @param size how many bytes will come at least, where that is known. */
  constructor(algorithm: Algorithm, size = 0) {
    this.#algorithm = algorithm;
    if (size > SMALL) this.#hash = nodeHash(algorithm);
    this.#bytes = new Uint8Array(size > SMALL ? 0 : size);
  }

  /** The bytes may be changed afterwards. */
  update(bytes: Uint8Array): void {
    const before = this.#size;
    this.#size += bytes.length;
    if (this.#hash !== undefined) this.#hash.update(bytes);
    else if (this.#size <= SMALL) {
      if (this.#size > this.#bytes.length) this.#grow();
      this.#bytes.set(bytes, before);
    } else {
      this.#hash = nodeHash(this.#algorithm).update(this.#bytes.subarray(0, before)).update(bytes);
      this.#bytes = new Uint8Array(0);
    }
  }

  #grow(): void {
    const length = Math.min(SMALL, Math.max(this.#size, 4 * this.#bytes.length, FIRST));
    this.#bytes = new Uint8Array(this.#bytes.buffer.transfer(length));
  }

  /** Once, after the last byte. */
  async digest(): Promise<Digest> {
    if (this.#hash !== undefined) return `${this.#algorithm}:${this.#hash.digest("hex")}`;
    const all = this.#bytes.subarray(0, this.#size);
    const bytes = await crypto.subtle.digest(NAMES[this.#algorithm], all);
    this.#bytes = new Uint8Array(0);
    return `${this.#algorithm}:${new Uint8Array(bytes).toHex()}`;
  }
}
