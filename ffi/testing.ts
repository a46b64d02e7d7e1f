/**
 * What tests of programs share: a machine in TypeScript that walks an encoded program as the
 * interpreters do (interpreter/x86_64.s), against a kernel that the test plays. Not part of the product.
 *
 * @module
 */
import assert from "node:assert/strict";
import { INTERPRETERS } from "./interpreter/bytes.ts";
import { type Cell, type Label, NEXT, type Program, type Step } from "./program/builder.ts";
import { encodeElf, STEP_SIZE } from "./program/encode.ts";
import { type Arch, argumentKinds, type SyscallName, syscallNumber } from "./syscalls.ts";

/** One segment of an ELF file, elf(5). */
export interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly align: number;
}

/** The header and segments of an ELF file of ours. */
export interface Elf {
  readonly type: number;
  readonly machine: number;
  readonly entry: number;
  readonly segments: readonly Segment[];
}

/** Reads what the kernel reads of an ELF file. */
export function parseElf(bytes: Uint8Array<ArrayBuffer>): Elf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // 64 bits, little-endian, version 1
  assert.deepEqual([...bytes.subarray(0, 7)], [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  assert.equal(view.getUint16(54, true), 56, "e_phentsize");
  const segments = Array.from({ length: view.getUint16(56, true) }, (_, i) => {
    const at = u64(32) + 56 * i;
    return {
      type: view.getUint32(at, true),
      flags: view.getUint32(at + 4, true),
      offset: u64(at + 8),
      address: u64(at + 16),
      fileSize: u64(at + 32),
      memorySize: u64(at + 40),
      align: u64(at + 48),
    };
  });
  return {
    type: view.getUint16(16, true),
    machine: view.getUint16(18, true),
    entry: u64(24),
    segments,
  };
}

/** A system call on its way to the test's kernel. */
export interface Call {
  readonly name: SyscallName;
  /** As signed 64-bit numbers. */
  readonly args: readonly number[];
  /** The index of its step. */
  readonly index: number;
  readonly step: Step;
  readonly machine: Machine;
  /** The arguments that are descriptors. */
  readonly descriptors: readonly number[];
  /** Strings that the arguments point to. */
  readonly strings: readonly (string | undefined)[];
}

/** A call's result, or that the process is no more: an exit, an execve. */
export type Answer = number | "end";

/** One step that was walked, and what came of it. */
export interface Visit {
  readonly index: number;
  readonly step: Step;
  readonly args: readonly number[];
  /** Strings that the arguments pointed to at that moment, by the argument's index. */
  readonly strings: readonly (string | undefined)[];
  readonly result: Answer;
}

const decoder = new TextDecoder();

/** An encoded program in memory. */
export class Machine {
  /** Where steps, constants and variables lie. */
  readonly addresses;
  readonly elf: Elf;
  readonly #memory: { base: number; view: DataView<ArrayBuffer> }[];
  readonly #header: number;
  readonly #first: number;

  constructor(readonly program: Program, readonly arch: Arch = "x86_64") {
    const { bytes, addresses } = encodeElf(program, arch);
    this.addresses = addresses;
    this.elf = parseElf(bytes);
    this.#memory = this.elf.segments.filter(({ type }) => type === 1).map((segment) => {
      const { address, fileSize, memorySize, offset } = segment;
      const memory = new Uint8Array(memorySize);
      memory.set(bytes.subarray(offset, offset + fileSize));
      return { base: address, view: new DataView(memory.buffer) };
    });
    const { patchHeader, patchSteps } = INTERPRETERS[arch];
    this.#first = this.u32(this.elf.entry + patchSteps);
    this.#header = this.u32(this.elf.entry + patchHeader);
  }

  #at(address: number, size: number): [DataView<ArrayBuffer>, number] {
    for (const { base, view } of this.#memory) {
      const at = address - base;
      if (at >= 0 && at + size <= view.byteLength) return [view, at];
    }
    throw new Error(`nothing is mapped at 0x${address.toString(16)}`);
  }

  u32(address: number): number {
    const [view, at] = this.#at(address, 4);
    return view.getUint32(at, true);
  }

  i32(address: number): number {
    return this.u32(address) | 0;
  }

  u64(address: number): bigint {
    const [view, at] = this.#at(address, 8);
    return view.getBigUint64(at, true);
  }

  set32(address: number, value: number): void {
    const [view, at] = this.#at(address, 4);
    view.setInt32(at, value, true);
  }

  set64(address: number, value: bigint): void {
    const [view, at] = this.#at(address, 8);
    view.setBigInt64(at, value, true);
  }

  /** Bytes of memory, copied. */
  bytes(address: number, size: number): Uint8Array<ArrayBuffer> {
    const [view, at] = this.#at(address, size);
    return new Uint8Array(view.buffer.slice(at, at + size));
  }

  /** Writes bytes where a variable lies. */
  write(address: number, bytes: Uint8Array): void {
    const [view, at] = this.#at(address, bytes.length);
    new Uint8Array(view.buffer).set(bytes, at);
  }

  /** The NUL-terminated string at an address. */
  string(address: number): string {
    const [view, at] = this.#at(address, 1);
    const bytes = new Uint8Array(view.buffer);
    return decoder.decode(bytes.subarray(at, bytes.indexOf(0, at)));
  }

  /** The strings of an argv. */
  strings(address: number): string[] {
    const found: string[] = [];
    for (let at = address; this.u64(at) !== 0n; at += 8) {
      found.push(this.string(Number(this.u64(at))));
    }
    return found;
  }

  /** Where a cell lies. */
  addressOf({ kind, offset }: Cell): number {
    const { constants, variables } = this.addresses;
    return offset +
      (kind === "constant"
        ? constants
        : kind === "variable"
        ? variables
        : variables + this.program.sizes.variables);
  }

  /** The header that a failure has left: which step, and its result. */
  failure(): { step: Step | undefined; result: number } {
    const index = (Number(this.u64(this.#header)) - this.addresses.steps) / STEP_SIZE;
    const result = Number(BigInt.asIntN(64, this.u64(this.#header + 8)));
    return { step: this.program.steps[index], result };
  }

  /**
   * Walks from a step on until the process ends, or a `return`.
   *
   * @param kernel answers each system call.
   */
  run(kernel: (call: Call) => Answer, from?: Label, limit = 20_000): Visit[] {
    const visits: Visit[] = [];
    let at = from === undefined ? this.#first : this.addresses.steps + from.index * STEP_SIZE;
    while (visits.length < limit) {
      const index = (at - this.addresses.steps) / STEP_SIZE;
      const step = this.program.steps[index];
      assert(step !== undefined, `there is no step ${index}`);
      const number = this.i32(at);
      if (number === -2) {
        assert.equal(step.operation, "return");
        return visits;
      }
      const mask = this.u32(at + 4);
      const wide = Array.from({ length: 6 }, (_, i) => {
        const value = this.u64(at + 32 + 8 * i);
        return (mask >> i) & 1 ? BigInt(this.i32(Number(value))) : BigInt.asIntN(64, value);
      });
      const args = wide.map(Number);
      let result: bigint | "end";
      let strings: Visit["strings"] = [];
      if (step.operation === "compute" || step.operation === "return") {
        assert.equal(number, -1);
        result = BigInt.asIntN(64, (wide[0]! - wide[1]!) & wide[2]!);
      } else if (step.operation === "compare") {
        assert.equal(number, -3);
        const [a, b] = [args[0]!, args[1]!].map((address) => this.bytes(address, args[2]!));
        result = a!.every((byte, i) => byte === b![i]) ? 0n : 1n;
      } else {
        const name = step.operation;
        assert.equal(number, syscallNumber(name, this.arch));
        const kinds = argumentKinds(name);
        const textual = (kind: string | undefined) => kind === "path" || kind === "string";
        strings = args.map((value, i) =>
          textual(kinds[i]) && value > 0 ? this.string(value) : undefined
        );
        const descriptors = args.filter((_, i) => kinds[i] === "fd" || kinds[i] === "dirfd");
        const answer = kernel({ name, args, index, step, machine: this, descriptors, strings });
        result = answer === "end" ? answer : BigInt(answer);
      }
      visits.push({
        index,
        step,
        args: args.slice(0, step.args.length),
        strings,
        result: result === "end" ? result : Number(result),
      });
      if (result === "end") return visits;
      at = this.#next(at, result);
    }
    throw new Error(`the program did not end in ${limit} steps`);
  }

  #next(at: number, result: bigint): number {
    this.set64(this.#header + 24, result);
    const target = Number(this.u64(at + 8));
    if (target !== 0) this.set32(target, Number(BigInt.asIntN(32, result)));
    if (result >= 0n) return at + this.i32(at + (result === 0n ? 20 : 24));
    const distance = this.i32(at + 16);
    if (distance !== FAIL) return at + distance;
    this.set64(this.#header, BigInt(at));
    this.set64(this.#header + 8, result);
    return Number(this.u64(this.#header + 16));
  }
}

/** The distance that means: the step has failed. */
const FAIL = 1;

/** Every step that can be reached: over each branch, and the failure handler. */
export function reachable({ handler, steps }: Program): Set<number> {
  const seen = new Set<number>();
  const left = [0, ...handler === undefined ? [] : [handler.index]];
  for (let index = left.pop(); index !== undefined; index = left.pop()) {
    const step = steps[index];
    if (step === undefined || seen.has(index)) continue;
    seen.add(index);
    left.push(...successors(step, index));
  }
  return seen;
}

/** Where a step may go on, failures without a way of their own left out. */
export function successors(step: Step, index: number): number[] {
  if (step.operation === "return" || step.operation === "exit_group") return [];
  const to = (label: Label | undefined) =>
    label === undefined || label === NEXT ? index + 1 : label.index;
  const failure = step.negative === undefined ? [] : [to(step.negative)];
  if (step.operation === "compute" && step.args.every((argument) => typeof argument === "number")) {
    const [a, b, mask] = step.args.map(BigInt) as [bigint, bigint, bigint];
    const result = (a - b) & mask;
    return result < 0n ? failure : [to(result === 0n ? step.zero : step.positive)];
  }
  return [to(step.zero), to(step.positive), ...failure];
}
