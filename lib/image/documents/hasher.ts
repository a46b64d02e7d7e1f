import type { Hash } from "node:crypto";
import { canHash, openLibc, Sha256 } from "../../../ffi/mod.ts";
import { asOne, joined } from "../buffers.ts";
import type { Algorithm } from "../names/mod.ts";
import type { Digest } from "../types.ts";

/** As much is kept and hashed at once, which needs no node:crypto: it takes 20 ms to load. Bytes. */
const SMALL = 4 << 20;
/** Fewer are hashed here in less time than another thread is told of them. */
const FEW = 1 << 15;
/** How many pieces may wait for the thread. */
const WAITING = 4;

/** As WebCrypto calls them. */
const NAMES: Readonly<Record<Algorithm, string>> = { sha256: "SHA-256", sha512: "SHA-512" };

/** node:crypto's hash, at once. */
export function nodeHash(algorithm: Algorithm): Hash {
  return process.getBuiltinModule("node:crypto").createHash(algorithm);
}

/** Loads what makes the digest of so many bytes, so that it is there when they come. */
export function loadHasher(size: number): void {
  openLibc({ asynchronous: true });
  if (canHash()) return;
  if (size > SMALL) nodeHash("sha256");
  else void crypto.subtle;
}

/** What a hasher does with bytes. */
interface Way {
  update(bytes: Uint8Array<ArrayBuffer>): void;
  keep(bytes: Uint8Array<ArrayBuffer>): void;
  whenRead(act: () => void): void;
  ready(): Promise<void>;
  idle(): Promise<void>;
  digest(): Promise<string>;
}

/** The digest of bytes that come piece by piece. */
export class Hasher {
  readonly #algorithm: Algorithm;
  readonly #way: Way;

  /** @param size how many bytes will come at least, where that is known. */
  constructor(algorithm: Algorithm, size = 0) {
    this.#algorithm = algorithm;
    this.#way = algorithm === "sha256" && canHash()
      ? new OnThread()
      : new InRuntime(algorithm, size);
  }

  /** Takes bytes that may be changed afterwards. */
  update(bytes: Uint8Array<ArrayBuffer>): void {
    this.#way.update(bytes);
  }

  /** Takes bytes that nobody changes until they are read: another thread may do that. */
  keep(bytes: Uint8Array<ArrayBuffer>): void {
    this.#way.keep(bytes);
  }

  /** Calls a function when what was taken so far is read; not at all when it is needed until the end. */
  whenRead(act: () => void): void {
    this.#way.whenRead(act);
  }

  /** Waits until it has little to read. */
  ready(): Promise<void> {
    return this.#way.ready();
  }

  /** Waits until nothing is read any more: the memory that it was given may be given back then. */
  idle(): Promise<void> {
    return this.#way.idle();
  }

  /** Once, after the last byte. */
  async digest(): Promise<Digest> {
    return `${this.#algorithm}:${await this.#way.digest()}`;
  }
}

/** By machine code, what is kept on another thread. */
class OnThread implements Way {
  readonly #hash = new Sha256();
  /** What is read, and what waits, in order. */
  readonly #reads: Promise<void>[] = [];
  #last: Promise<void> = Promise.resolve();

  update(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#reads.length === 0) this.#hash.update(bytes);
    else this.keep(bytes.slice());
  }

  keep(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#reads.length === 0 && bytes.length < FEW) return this.#hash.update(bytes);
    this.#last = this.#last.then(() => this.#hash.updateAsync(bytes)).finally(() => {
      this.#reads.shift();
    });
    this.#last.catch(() => {}); // whoever asks for the digest hears of it
    this.#reads.push(this.#last);
  }

  whenRead(act: () => void): void {
    if (this.#reads.length === 0) act();
    else this.#last.then(act, act);
  }

  async ready(): Promise<void> {
    while (this.#reads.length > WAITING) await this.#reads[0];
  }

  async idle(): Promise<void> {
    await this.#last.catch(() => {});
  }

  async digest(): Promise<string> {
    await this.#last;
    return this.#hash.digest();
  }
}

/** By what Deno has: of what is small all is kept and hashed in the end, of what is large each piece at once. */
class InRuntime implements Way {
  readonly #algorithm: Algorithm;
  #kept: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;
  #hash: Hash | undefined;

  constructor(algorithm: Algorithm, size: number) {
    this.#algorithm = algorithm;
    if (size > SMALL) this.#hash = nodeHash(algorithm);
  }

  update(bytes: Uint8Array<ArrayBuffer>): void {
    this.keep(this.#hash === undefined ? bytes.slice() : bytes);
  }

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

  whenRead(act: () => void): void {
    if (this.#hash !== undefined) act();
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  idle(): Promise<void> {
    return Promise.resolve();
  }

  async digest(): Promise<string> {
    if (this.#hash !== undefined) return this.#hash.digest("hex");
    const all = joined(this.#kept, this.#size);
    this.#kept = [];
    return new Uint8Array(await crypto.subtle.digest(NAMES[this.#algorithm], all)).toHex();
  }

  /** What lies behind the last part in memory is one part with it. */
  #add(bytes: Uint8Array<ArrayBuffer>): void {
    const last = this.#kept.at(-1);
    const both = last === undefined ? undefined : asOne(last, bytes);
    if (both === undefined) this.#kept.push(bytes);
    else this.#kept[this.#kept.length - 1] = both;
  }
}
