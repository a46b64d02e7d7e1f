import { HEADER_SIZE } from "./program/builder.ts";
import { STEP_SIZE } from "./program/encode.ts";
import { addressOfBytes, arch, walk, walkAsync } from "./libc.ts";
import { type SyscallName, syscallNumber } from "./syscalls.ts";

/** Go on after the step, whatever the result's sign. */
const ON = STEP_SIZE;
/** The distance that means: the step has failed; see interpreter/x86_64.s. */
const FAIL = 1;
const COMPUTE = -1;
const RETURN = -2;

const DONE_AT = HEADER_SIZE;
const STEPS_AT = 64;
const WORDS = STEP_SIZE >> 2;
/** Up to here bytes are copied; what is longer is kept, and used where it lies. */
const SHORT = 4096;

/**
 * A list of system calls for the interpreter, written straight as bytes: for tens of thousands of calls,
 * where a {@linkcode Program} of objects would cost more than the calls themselves. It is walked on another
 * thread while JavaScript fills the next one. The memory is made once and used again after `reset`.
 *
 * An argument is a number; where its bit is set in `at`, the signed 32-bit value at that address when
 * the step runs, so that the descriptor which one call opens serves the next.
 *
 * @example
 * ```ts
 * import { CallBatch } from "./batch.ts";
 * import { FixedCells } from "./batch.ts";
 * const cells = new FixedCells(1);
 * const batch = new CallBatch(16, 256);
 * batch.call("openat", 0, -100, batch.string("/dev/null"), 1, 0);
 * batch.result(cells.address(0));
 * batch.call("write", 1, cells.address(0), batch.bytes(new Uint8Array(3)), 3);
 * batch.call("close", 1, cells.address(0));
 * batch.run();
 * if (batch.failure !== undefined || cells.get(0) < 3) throw new Error();
 * ```
 */
export class CallBatch {
  readonly #memory: Uint8Array<ArrayBuffer>;
  readonly #words: Int32Array<ArrayBuffer>;
  readonly #base: number;
  readonly #capacity: number;
  readonly #dataStart: number;
  #names: (SyscallName | "compute")[] = [];
  #dataEnd: number;
  /** What lies outside and must stay until the calls are made. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  /** @param capacity steps; @param data bytes for strings and other short data. */
  constructor(capacity: number, data: number) {
    this.#capacity = capacity;
    // Two more steps: the end.
    this.#dataStart = this.#dataEnd = STEPS_AT + (capacity + 2) * STEP_SIZE;
    this.#memory = new Uint8Array(this.#dataStart + data);
    this.#words = new Int32Array(this.#memory.buffer, 0, this.#dataStart >> 2);
    this.#base = addressOfBytes(this.#memory);
  }

  /** Steps so far: the index of the next one. */
  get length(): number {
    return this.#names.length;
  }

  /** Bytes outside that the steps refer to. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether so many steps and bytes of data still fit. */
  hasRoom(steps: number, bytes: number): boolean {
    return this.#names.length + steps <= this.#capacity &&
      this.#dataEnd + bytes + 8 <= this.#memory.length;
  }

  /** Empty again. Not while it is walked. */
  reset(): void {
    this.#names = [];
    this.#dataEnd = this.#dataStart;
    this.#held = [];
    this.#heldBytes = 0;
  }

  /** Adds a system call, that fails the batch when its result is negative. @returns the step's index. */
  call(name: SyscallName, at: number, a = 0, b = 0, c = 0, d = 0, e = 0): number {
    return this.#step(name, syscallNumber(name, arch), at, a, b, c, d, e, FAIL);
  }

  /** Adds a check that the value at an address is `expected`: less of it fails the batch. */
  expect(address: number, expected: number): void {
    this.#step("compute", COMPUTE, 1, address, expected, -1, 0, 0, FAIL);
  }

  /** Stores a small number at an address. */
  set(address: number, value: number): void {
    this.#step("compute", COMPUTE, 0, value, 0, -1, 0, 0, ON);
    this.result(address);
  }

  #step(
    name: SyscallName | "compute",
    number: number,
    at: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    negative: number,
  ): number {
    const index = this.#names.length;
    if (index >= this.#capacity) throw new RangeError("a batch with too many calls");
    this.#names.push(name);
    this.#write(index, number, at, a, b, c, d, e, negative);
    return index;
  }

  #write(
    index: number,
    number: number,
    at: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    negative: number,
  ): void {
    const words = this.#words;
    const word = (STEPS_AT >> 2) + index * WORDS;
    words[word] = number;
    words[word + 1] = at;
    words[word + 2] = 0;
    words[word + 3] = 0;
    words[word + 4] = negative;
    words[word + 5] = ON;
    words[word + 6] = ON;
    words[word + 8] = a;
    words[word + 9] = Math.floor(a / 4294967296);
    words[word + 10] = b;
    words[word + 11] = Math.floor(b / 4294967296);
    words[word + 12] = c;
    words[word + 13] = Math.floor(c / 4294967296);
    words[word + 14] = d;
    words[word + 15] = Math.floor(d / 4294967296);
    words[word + 16] = e;
    words[word + 17] = Math.floor(e / 4294967296);
    words[word + 18] = 0;
    words[word + 19] = 0;
  }

  /** The latest step's result (its low 32 bits) goes to an address. */
  result(address: number): void {
    const word = (STEPS_AT >> 2) + (this.#names.length - 1) * WORDS;
    this.#words[word + 2] = address;
    this.#words[word + 3] = Math.floor(address / 4294967296);
  }

  /** Where a step goes on, in steps: when its result is negative, and when it is not. */
  branch(step: number, negative: number, other: number): void {
    const word = (STEPS_AT >> 2) + step * WORDS;
    this.#words[word + 4] = negative * STEP_SIZE;
    this.#words[word + 5] = this.#words[word + 6] = other * STEP_SIZE;
  }

  /** Copies bytes, a character each (U+0000 to U+00FF), and a NUL. @returns their address. */
  string(text: string): number {
    const at = this.#take(text.length + 1);
    const memory = this.#memory;
    for (let i = 0; i < text.length; i++) memory[at + i] = text.charCodeAt(i);
    memory[at + text.length] = 0;
    return this.#base + at;
  }

  /** The address of bytes: a copy of short ones; long ones must not change until the calls are made. */
  bytes(bytes: Uint8Array<ArrayBuffer>): number {
    if (bytes.length > SHORT) {
      this.#held.push(bytes);
      this.#heldBytes += bytes.length;
      return addressOfBytes(bytes);
    }
    const at = this.#take(bytes.length);
    this.#memory.set(bytes, at);
    return this.#base + at;
  }

  /** Two equal `struct timespec`, utimensat(2). @returns their address. */
  times(seconds: number, nanoseconds: number): number {
    const at = this.#take(32);
    const view = new DataView(this.#memory.buffer, at, 32);
    for (const offset of [0, 16]) {
      view.setBigInt64(offset, BigInt(seconds), true);
      view.setInt32(offset + 8, nanoseconds, true);
      view.setInt32(offset + 12, 0, true);
    }
    return this.#base + at;
  }

  #take(size: number): number {
    const at = this.#dataEnd;
    if (at + size > this.#memory.length) throw new RangeError("a batch with too much data");
    this.#dataEnd = (at + size + 7) & ~7;
    return at;
  }

  /** Makes the calls from a step on, on this thread, to the end or to the first that fails. */
  run(from = 0): void {
    this.#prepare();
    walk(this.#stepAddress(from), this.#base);
  }

  /** Makes the calls on another thread. */
  runAsync(): Promise<void> {
    this.#prepare();
    return walkAsync(this.#stepAddress(0), this.#base);
  }

  #stepAddress(step: number): number {
    return this.#base + STEPS_AT + step * STEP_SIZE;
  }

  #prepare(): void {
    const end = this.#names.length;
    this.#write(end, COMPUTE, 0, 1, 0, -1, 0, 0, ON);
    const word = (STEPS_AT >> 2) + end * WORDS;
    const done = this.#base + DONE_AT;
    this.#words[word + 2] = done;
    this.#words[word + 3] = Math.floor(done / 4294967296);
    this.#write(end + 1, RETURN, 0, 0, 0, 0, 0, 0, ON);
    this.#words.fill(0, 0, STEPS_AT >> 2);
    const handler = this.#stepAddress(end);
    this.#words[4] = handler;
    this.#words[5] = Math.floor(handler / 4294967296);
  }

  /** Whether the calls are made; true a moment before `runAsync` is. The memory is still in use then. */
  get done(): boolean {
    return Atomics.load(this.#words, DONE_AT >> 2) === 1;
  }

  /** The step that failed when it ran, what it is, and its negative result; undefined when none has. */
  get failure(): { step: number; name: SyscallName | "compute"; result: number } | undefined {
    const words = this.#words;
    const address = (words[0]! >>> 0) + words[1]! * 4294967296;
    if (address === 0) return undefined;
    const step = (address - this.#stepAddress(0)) / STEP_SIZE;
    return { step, name: this.#names[step]!, result: words[2]! };
  }
}

/** 32-bit values at fixed addresses, where one batch leaves what another one uses: descriptors. */
export class FixedCells {
  readonly #cells: Int32Array<ArrayBuffer>;
  readonly #base: number;

  /** They begin as -1. */
  constructor(count: number) {
    // Never so few that V8 keeps them where its collector moves things.
    this.#cells = new Int32Array(new ArrayBuffer(Math.max(count * 4, 4096))).fill(-1);
    this.#base = addressOfBytes(new Uint8Array(this.#cells.buffer));
  }

  /** The address of a cell. */
  address(index: number): number {
    return this.#base + 4 * index;
  }

  /** What a cell has. */
  get(index: number): number {
    return Atomics.load(this.#cells, index);
  }

  /** Changes a cell. */
  set(index: number, value: number): void {
    Atomics.store(this.#cells, index, value);
  }
}
