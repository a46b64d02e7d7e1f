import { INTERPRETERS } from "./interpreter/bytes.ts";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  O_CLOEXEC,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from "./constants.ts";
import { SyscallError } from "./errno.ts";
import { encodeAt, interpreter, memorySize } from "./program/encode.ts";
import type { Cell, Program } from "./program/builder.ts";
import { type Arch, type SyscallName, syscallNumber } from "./syscalls.ts";
import { encodeInto } from "./text.ts";

// The one Deno.dlopen. libc is asked for little: `syscall`, a few times, to make a page of code;
// `memcpy` of nothing, which answers where a buffer lies; and `bsearch`, which calls the function it
// is given: the interpreter, in that page. So every call of crate's brings the kernel's own result
// back, never `errno`, which belongs to the thread and which the runtime may overwrite; and nothing
// needs more than `--allow-ffi=<libc>`.

// For a function that takes no struct Deno compiles a trampoline when it is opened, 0.3 ms each, which
// a short command never earns back. A struct of one long travels as the long itself (System V ABI for
// AMD64, 3.2.3; AAPCS64, 6.8.2): what is the same in every call is declared as one.
const LONG = { struct: ["i64"] } as const;
const ZERO = new Uint8Array(8);
const ONE = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);

const SYMBOLS = {
  // long syscall(long number, long a, long b, long c, long d, long e, long f)
  syscall: {
    parameters: ["i64", "i64", "i64", "i64", "i64", "i64", LONG],
    result: "i64",
  },
  // void *memcpy(void *to, const void *from, size_t count)
  memcpy: { parameters: ["buffer", "usize", LONG], result: "usize" },
  // void *bsearch(const void *key, const void *base, size_t count, size_t size, int (*compare)(key, member))
  bsearch: {
    parameters: ["usize", "usize", LONG, "usize", "usize"],
    result: "usize",
  },
} as const;

const ASYNC_SYMBOLS = { bsearch: { ...SYMBOLS.bsearch, nonblocking: true } } as const;

// The largest page of the machine's kernels.
const PAGE = Deno.build.arch === "aarch64" ? 65536 : 4096;
/** The arena: the step of a single call, then what its arguments point to, then programs. */
const STEP_AT = 0;
const SCRATCH_AT = 256;
const SCRATCH_SIZE = 1 << 20;
const PROGRAM_AT = SCRATCH_AT + SCRATCH_SIZE;
const PROGRAM_SIZE = 1 << 16;
const ARENA_SIZE = PROGRAM_AT + PROGRAM_SIZE;

/** The machine this process runs on. */
export const arch: Arch = Deno.build.arch;

// Deno takes a number wherever it takes a bigint, and its types do not say so.
type Number6 = [a: number, b: number, c: number, d: number, e: number, f: number];
interface Symbols {
  syscall(...args: [...Number6, Uint8Array]): bigint;
  memcpy(to: Uint8Array, from: number, count: Uint8Array): bigint;
  bsearch(...args: Search): bigint;
}
interface AsyncSymbols {
  bsearch(...args: Search): Promise<bigint>;
}
type Search = [key: number, base: number, count: Uint8Array, size: number, compare: number];

interface Machine {
  readonly path: string;
  readonly symbols: Symbols;
  readonly base: number;
  readonly entry: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
}

let machine: Machine | undefined;

/** Where libc lies on the distributions crate knows, for `--allow-ffi=<absolute path>`. */
export const LIBC_PATHS: readonly string[] = [
  `/lib/${arch}-linux-gnu/libc.so.6`,
  `/usr/lib/${arch}-linux-gnu/libc.so.6`,
  "/lib64/libc.so.6",
  "/usr/lib64/libc.so.6",
  "/usr/lib/libc.so.6",
];

function dlopen<S extends Deno.ForeignLibraryInterface>(symbols: S, path?: string) {
  if (path !== undefined) return { path, library: Deno.dlopen(path, symbols) };
  let refused: unknown;
  // The soname works with all permissions; with scoped ones Deno takes it for a file of the working
  // directory, refuses, and an absolute path is what the permission names.
  for (const path of ["libc.so.6", ...LIBC_PATHS]) {
    try {
      return { path, library: Deno.dlopen(path, symbols) };
    } catch (error) {
      refused ??= error;
      if (error instanceof Deno.errors.NotCapable) refused = error;
    }
  }
  throw refused;
}

/** A system call with numbers alone, which throws when it fails. */
type PlainCall = (name: SyscallName, ...args: number[]) => number;

/**
 * Makes a page of machine code, filled through a pipe: memory that is not JavaScript's can be reached
 * so, and JavaScript's must stay writable for whoever gets it after this isolate.
 *
 * @returns its address; it stays for the process's life.
 */
function codePage(
  call: PlainCall,
  arena: Uint8Array<ArrayBuffer>,
  base: number,
  code: Uint8Array,
): number {
  const ends = new Int32Array(arena.buffer, SCRATCH_AT, 2);
  call("pipe2", base + SCRATCH_AT, O_CLOEXEC);
  const [readEnd, writeEnd] = ends as unknown as [number, number];
  arena.set(code, SCRATCH_AT + 8);
  const memory = MAP_PRIVATE | MAP_ANONYMOUS;
  const size = Math.ceil(code.length / PAGE) * PAGE;
  const page = call("mmap", 0, size, PROT_READ | PROT_WRITE, memory, -1);
  // A pipe has room for 16 pages, of which no code has more than two.
  call("write", writeEnd, base + SCRATCH_AT + 8, code.length);
  call("read", readEnd, page, code.length);
  call("mprotect", page, size, PROT_READ | PROT_EXEC);
  call("close", readEnd);
  call("close", writeEnd);
  return page;
}

function start(): Machine {
  const { path, library } = dlopen(SYMBOLS);
  const symbols = library.symbols as unknown as Symbols;
  const call: PlainCall = (name, a = 0, b = 0, c = 0, d = 0, e = 0) => {
    const result = Number(symbols.syscall(syscallNumber(name, arch), a, b, c, d, e, ZERO));
    if (result === -1) {
      throw new Error(`this host forbids making memory executable: ${name} failed`);
    }
    return result;
  };
  // A buffer's bytes never move, and the module keeps this one.
  const bytes = new Uint8Array(ARENA_SIZE);
  const base = Number(symbols.memcpy(bytes, 0, ZERO));

  const page = codePage(call, bytes, base, interpreter(arch));
  const view = new DataView(bytes.buffer);
  // A single call is a program of two steps: the call, whatever comes of it, and the return.
  for (const branch of [16, 20, 24]) view.setInt32(STEP_AT + branch, 80, true);
  view.setInt32(STEP_AT + 80, -2, true);
  const entry = page + INTERPRETERS[arch].callEntry;
  return machine = { path, symbols, base, entry, bytes, view };
}

/** The path by which libc was opened. */
export function libcPath(): string {
  return (machine ?? start()).path;
}

/** What a system call takes: a number, a string (NUL-terminated), bytes (in and out), nothing. */
export type SyscallArgument = number | bigint | string | Uint8Array | null;

const HEADER_AT = STEP_AT + 160;

/** Of a buffer that the kernel only fills, no more than the result counts. */
function onlyFills(name: SyscallName): boolean {
  return name === "read" || name === "pread64" || name === "getdents64";
}

/** From a buffer that the kernel only reads, nothing comes back. */
function onlyReads(name: SyscallName): boolean {
  return name === "write" || name === "pwrite64" || name === "sendto";
}

/** The result of a system call, or the kernel's `-errno`. */
export function trySyscall(name: SyscallName, ...args: SyscallArgument[]): number {
  const { symbols, base, entry, bytes, view } = machine ?? start();
  view.setInt32(STEP_AT, syscallNumber(name, arch), true);
  let scratch = SCRATCH_AT;
  let out: [Uint8Array, number][] | undefined;
  for (let i = 0; i < 6; i++) {
    const slot = STEP_AT + 32 + 8 * i;
    const argument = args[i];
    if (typeof argument === "bigint") {
      view.setBigUint64(slot, BigInt.asUintN(64, argument), true);
      continue;
    }
    let value: number;
    if (typeof argument === "number") value = argument;
    else if (argument === undefined || argument === null) value = 0;
    else {
      value = base + scratch;
      if (typeof argument === "string") {
        scratch = putString(bytes, scratch, argument, name);
      } else {
        if (argument.length > PROGRAM_AT - scratch) {
          throw new RangeError(`${name}: ${argument.length} bytes in one call; at most 1 MiB`);
        }
        if (!onlyFills(name)) bytes.set(argument, scratch);
        if (!onlyReads(name)) (out ??= []).push([argument, scratch]);
        scratch = (scratch + argument.length + 7) & ~7;
      }
    }
    view.setInt32(slot, value | 0, true);
    view.setInt32(slot + 4, Math.floor(value / 4294967296), true);
  }
  symbols.bsearch(base + STEP_AT, base + HEADER_AT, ONE, 1, entry);
  const result = Number(view.getBigInt64(HEADER_AT + 24, true));
  if (out !== undefined) {
    const most = onlyFills(name) ? Math.max(0, result) : Infinity;
    for (const [target, at] of out) {
      target.set(bytes.subarray(at, at + Math.min(target.length, most)));
    }
  }
  return result;
}

function putString(bytes: Uint8Array, at: number, text: string, call: string): number {
  const { length } = text;
  if (length * 3 >= PROGRAM_AT - at) {
    throw new RangeError(`${call}: a string of ${length} characters; at most 300,000`);
  }
  let to = at;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0 || code > 127) {
      if (text.includes("\0")) throw new SyscallError(call, 22, JSON.stringify(text));
      to = at + encodeInto(text, bytes.subarray(at));
      break;
    }
    bytes[to++] = code;
  }
  bytes[to] = 0;
  return (to + 8) & ~7;
}

/**
 * A raw system call, syscall(2).
 *
 * @returns its result, a number that is not negative.
 * @throws {SyscallError} with the kernel's error and the first string argument as the path.
 *
 * @example
 * ```ts
 * import { syscall } from "./libc.ts";
 * if (syscall("getpid") !== Deno.pid) throw new Error();
 * ```
 */
export function syscall(name: SyscallName, ...args: SyscallArgument[]): number {
  const result = trySyscall(name, ...args);
  if (result < 0 && result >= -4095) {
    const path = args.find((argument) => typeof argument === "string");
    throw new SyscallError(name, -result, path);
  }
  return result;
}

/** Reads the variables that an in-process program left behind. */
export interface Run {
  /** The 32-bit value at an offset of the program's variables. */
  value(cell: Cell): number;
  /** Bytes of the program's variables, copied. */
  bytes(cell: Cell): Uint8Array<ArrayBuffer>;
}

function reader({ sizes }: Program, memory: Uint8Array<ArrayBuffer>): Run {
  const view = new DataView(memory.buffer, memory.byteOffset);
  const at = ({ kind, offset }: Cell) => kind === "buffer" ? sizes.variables + offset : offset;
  return {
    value: (cell) => view.getInt32(at(cell), true),
    bytes: (cell) => memory.slice(at(cell), at(cell) + cell.size),
  };
}

/** Walks a program in this process, on this thread, to its `return`. */
export function runProgram(program: Program): Run {
  const { symbols, base, entry, bytes } = machine ?? start();
  const size = memorySize(program);
  if (size > PROGRAM_SIZE) throw new RangeError(`a program of ${size} bytes; at most 64 KiB here`);
  const memory = bytes.subarray(PROGRAM_AT, PROGRAM_AT + PROGRAM_SIZE);
  const at = encodeAt(program, arch, base + PROGRAM_AT, memory);
  symbols.bsearch(at.steps, at.variables, ONE, 1, entry);
  return reader(program, memory);
}

let asynchronous: AsyncSymbols | undefined;

function openAsynchronous(path: string): AsyncSymbols {
  return dlopen(ASYNC_SYMBOLS, path).library.symbols as unknown as AsyncSymbols;
}

/** Walks a program in this process, on another thread, to its `return`. */
export async function runProgramAsync(program: Program): Promise<Run> {
  const { entry, path } = machine ?? start();
  asynchronous ??= openAsynchronous(path);
  const memory = new Uint8Array(memorySize(program));
  const base = addressOfBytes(memory);
  const at = encodeAt(program, arch, base, memory);
  await asynchronous.bsearch(at.steps, at.variables, ONE, 1, entry);
  return reader(program, memory);
}

/** Walks encoded steps in this process, on this thread, to their `return`. */
export function walk(steps: number, header: number): void {
  const { symbols, entry } = machine ?? start();
  symbols.bsearch(steps, header, ONE, 1, entry);
}

/**
 * Walks encoded steps in this process, on another thread, to their `return`.
 *
 * @throws at once, not later, when they are not begun.
 */
export function walkAsync(steps: number, header: number): Promise<void> {
  const { entry, path } = machine ?? start();
  asynchronous ??= openAsynchronous(path);
  return asynchronous.bsearch(steps, header, ONE, 1, entry).then(() => {});
}

/** Opens what this room needs of the runtime now, so that `ffi` may be revoked afterwards. */
export function openLibc(options: { asynchronous?: boolean } = {}): void {
  const { path } = machine ?? start();
  if (options.asynchronous) asynchronous ??= openAsynchronous(path);
}

/** Calls machine code of ours, `int (*)(void *, const void *)`, on this thread. */
export function callNow(code: number, argument: number): void {
  (machine ?? start()).symbols.bsearch(argument, argument, ONE, 1, code);
}

/** Calls machine code of ours on another thread. What it works on must be kept until then. */
export async function callAsync(code: number, argument: number): Promise<void> {
  const { path } = machine ?? start();
  asynchronous ??= openAsynchronous(path);
  await asynchronous.bsearch(argument, argument, ONE, 1, code);
}

/** Puts machine code of ours into this process. @returns its address. @throws {SyscallError} */
export function loadCode(code: Uint8Array): number {
  const { bytes, base } = machine ?? start();
  return codePage(syscall, bytes, base, code);
}

/** Where the bytes of a buffer lie; it must be kept for as long as somebody else uses them. */
export function addressOfBytes(bytes: Uint8Array<ArrayBuffer>): number {
  return Number((machine ?? start()).symbols.memcpy(bytes, 0, ZERO));
}
