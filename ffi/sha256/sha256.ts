import { addressOfBytes, callAsync, callNow } from "../libc.ts";
import { loadMachineCode } from "../machine_code.ts";
import { SHA256 } from "./bytes.ts";

// The state that the machine code works on: see x86_64.s.
const FIRST = 32;
const DATA = 40;
const BLOCKS = 48;
const BLOCK = 64;
const BLOCK_SIZE = 64;
/** Never so small that V8 keeps it where its collector moves things. */
const STATE_SIZE = 4096;

/** The fractional parts of the square roots of the first eight primes. FIPS 180-4, 5.3.3 */
const START = [2, 3, 5, 7, 11, 13, 17, 19].map((prime) => (Math.sqrt(prime) % 1) * 2 ** 32);

/** Whether there is machine code for this machine's processor, without which there is no {@linkcode Sha256}. */
export function canHash(): boolean {
  return loadMachineCode(SHA256) !== undefined;
}

/** SHA-256 (FIPS 180-4) by the processor's own instructions, here or on another thread. */
export class Sha256 {
  readonly #state = new Uint8Array(STATE_SIZE);
  readonly #view = new DataView(this.#state.buffer);
  readonly #address = addressOfBytes(this.#state);
  readonly #entry = loadMachineCode(SHA256)!;
  /** What another thread reads is kept until then. */
  #reading: Uint8Array<ArrayBuffer> | undefined;
  #size = 0;

  constructor() {
    START.forEach((word, i) => this.#view.setUint32(4 * i, word, true));
  }

  /** Adds bytes. Not while others are being added. */
  update(bytes: Uint8Array<ArrayBuffer>): void {
    const rest = this.#prepare(bytes);
    if (rest === undefined) return;
    callNow(this.#entry, this.#address);
    this.#state.set(rest, BLOCK);
  }

  /** Adds bytes on another thread: until then nobody may change them, or call anything else here. */
  async updateAsync(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const rest = this.#prepare(bytes);
    if (rest === undefined) return;
    this.#reading = bytes;
    await callAsync(this.#entry, this.#address);
    this.#reading = undefined;
    this.#state.set(rest, BLOCK);
  }

  /** The digest as hexadecimal digits. Once, after the last byte. */
  digest(): string {
    // A one bit, zeros, and the length in bits. 5.1.1
    const size = this.#size;
    const rest = size % BLOCK_SIZE;
    const last = new Uint8Array(rest < BLOCK_SIZE - 8 ? BLOCK_SIZE - rest : 2 * BLOCK_SIZE - rest);
    last[0] = 0x80;
    new DataView(last.buffer).setBigUint64(last.length - 8, BigInt(size) * 8n);
    this.update(last);
    const words = Array.from({ length: 8 }, (_, i) => this.#view.getUint32(4 * i, true));
    return words.map((word) => word.toString(16).padStart(8, "0")).join("");
  }

  /**
   * Notes what the machine code is to do with these bytes.
   *
   * @returns those behind the last whole block, to be held afterwards; undefined when there is no whole block yet.
   */
  #prepare(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
    const held = this.#size % BLOCK_SIZE;
    this.#size += bytes.length;
    if (held + bytes.length < BLOCK_SIZE) {
      this.#state.set(bytes, BLOCK + held);
      return undefined;
    }
    // What is held is filled up to a block. One block alone is copied, too: V8 moves what is so small.
    const isOne = held === 0 && bytes.length < 2 * BLOCK_SIZE;
    const filled = held > 0 || isOne ? BLOCK_SIZE - held : 0;
    this.#state.set(bytes.subarray(0, filled), BLOCK + held);
    const blocks = Math.floor((bytes.length - filled) / BLOCK_SIZE);
    const view = this.#view;
    view.setUint32(FIRST, filled > 0 ? 1 : 0, true);
    view.setUint32(BLOCKS, blocks, true);
    if (blocks > 0) view.setBigUint64(DATA, BigInt(addressOfBytes(bytes) + filled), true);
    return bytes.subarray(filled + blocks * BLOCK_SIZE);
  }
}
