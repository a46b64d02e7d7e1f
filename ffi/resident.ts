import {
  MAP_ANONYMOUS,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  MFD_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
} from "./constants.ts";
import { EEXIST, ENOMEM, SyscallError } from "./errno.ts";
import { close } from "./files.ts";
import { arch, type Run, syscall, type SyscallArgument, trySyscall, walk } from "./libc.ts";
import type { Cell, Program } from "./program/builder.ts";
import { encodeAt, memorySize } from "./program/encode.ts";

// Programs that stay in this process's memory and are walked again and again. Their memory lies where an address fits
// into 31 bits: a program may keep one in a variable.

const LOWEST = 0x30000000;
const HIGHEST = 0x70000000;
const STEP = 1 << 20;

let next = LOWEST;

/** Memory at a low address. @throws {SyscallError} @throws {RangeError} when there is none left. */
function mapLow(size: number): number {
  const room = Math.ceil(size / STEP) * STEP;
  // What was given back is found the next time round.
  for (let tried = 0; tried < HIGHEST - LOWEST; tried += room) {
    if (next + room > HIGHEST) next = LOWEST;
    const at = next;
    next += room;
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    const result = trySyscall("mmap", at, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (result === at) return at;
    if (result !== -EEXIST) throw new SyscallError("mmap", -result);
  }
  throw new RangeError("no place is left for resident programs");
}

// With the permission for libc alone no memory but JavaScript's can be looked at: what goes there and comes from there goes
// by a file in memory.

function copy(from: SyscallArgument, to: SyscallArgument, size: number): void {
  const file = syscall("memfd_create", "crate", MFD_CLOEXEC);
  try {
    const written = syscall("pwrite64", file, from, size, 0);
    const read = syscall("pread64", file, to, size, 0);
    if (Math.min(written, read) < size) throw new SyscallError("pread64", ENOMEM);
  } finally {
    close(file);
  }
}

const put = (address: number, bytes: Uint8Array) => copy(bytes, address, bytes.length);
const take = (address: number, bytes: Uint8Array) => copy(address, bytes, bytes.length);

/**
 * A program in this process's memory.
 *
 * @example
 * ```ts
 * import { ProgramBuilder } from "./mod.ts";
 * import { ResidentProgram } from "./resident.ts";
 * const p = new ProgramBuilder();
 * const [a, b] = [p.variable("a", 4), p.variable("b", 4)];
 * p.subtract(b, { value: { cell: a, offset: 0 } }, -1);
 * p.return();
 * using program = new ResidentProgram(p.build());
 * for (const n of [1, 2]) {
 *   const run = program.run((put) => put(a, new Uint8Array([n])));
 *   if (run.value(b) !== n + 1) throw new Error();
 * }
 * ```
 */
export class ResidentProgram implements Disposable {
  readonly #program: Program;
  readonly #address: number;
  /** The variables and buffers, as the program begins with them. */
  readonly #initial: Uint8Array<ArrayBuffer>;
  readonly #steps: number;

  /** @throws {SyscallError} @throws {RangeError} when there is no memory for it. */
  constructor(program: Program) {
    this.#program = program;
    const memory = new Uint8Array(memorySize(program));
    this.#address = mapLow(memory.length);
    const { variables, buffers } = program.sizes;
    this.#steps = encodeAt(program, arch, this.#address, memory).steps;
    this.#initial = memory.slice(0, variables + buffers);
    try {
      put(this.#address, memory);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Walks it to its `return`, on this thread.
   *
   * @param prepare puts bytes into variables, which are otherwise as the program has them.
   * @throws {SyscallError}
   */
  run(prepare?: (put: (cell: Cell, bytes: Uint8Array, offset?: number) => void) => void): Run {
    const { sizes } = this.#program;
    const at = ({ kind, offset }: Cell) => kind === "buffer" ? sizes.variables + offset : offset;
    const memory = this.#initial.slice();
    prepare?.((cell, bytes, offset = 0) => memory.set(bytes, at(cell) + offset));
    put(this.#address, memory);
    walk(this.#steps, this.#address);
    take(this.#address, memory);
    const view = new DataView(memory.buffer);
    return {
      value: (cell) => view.getInt32(at(cell), true),
      bytes: (cell) => memory.slice(at(cell), at(cell) + cell.size),
    };
  }

  [Symbol.dispose](): void {
    syscall("munmap", this.#address, memorySize(this.#program));
  }
}
