import { CrateError } from "../../errors.ts";

/** Where a jump goes: an instruction (from 0), or, below 0, `~i` for the returned value number i. */
export type Target = number;

/** `sizeof(struct sock_filter)`, linux/filter.h. */
export const INSTRUCTION_SIZE = 8;

/** The most instructions a filter may have, linux/bpf_common.h. */
const BPF_MAXINSNS = 4096;

/** How far a conditional jump reaches: `jt` and `jf` have eight bits. */
const REACH = 255;

// linux/bpf_common.h: class | size or operation | mode or source
const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP = 0x05; // BPF_JMP | BPF_JA
const RETURN = 0x06; // BPF_RET | BPF_K
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
/** `BPF_JMP | BPF_JEQ | BPF_K` */
export const JEQ = 0x15;
/** `BPF_JMP | BPF_JGT | BPF_K` */
export const JGT = 0x25;
/** `BPF_JMP | BPF_JGE | BPF_K` */
export const JGE = 0x35;

/**
 * Assembles a classic BPF program from its end to its beginning: BPF jumps forward only, so what a jump
 * goes to is always there already, and its distance is known when the jump is written.
 */
export class Assembler {
  // Instruction 0 is the program's last. A word is code, jt << 16 and jf << 24; struct sock_filter
  // as both machines, little-endian, lay it out.
  readonly #words: number[] = [];
  readonly #operands: number[] = [];
  readonly #values: number[] = [];
  /** The nearest instruction that returns a value, by the value's number. */
  readonly #returns: number[] = [];

  /** The target that ends the filter with this `SECCOMP_RET_*` value. */
  answer(value: number): Target {
    const known = this.#values.indexOf(value);
    return ~(known >= 0 ? known : this.#values.push(value) - 1);
  }

  /** Compares the accumulator with a constant; returns where the comparison stands. */
  branch(code: number, operand: number, yes: Target, no: Target): Target {
    if (yes === no) return yes;
    // Making one target near may push the other an instruction further away.
    const jt = this.#near(yes, 1);
    const jf = this.#near(no, 0);
    const here = this.#words.length;
    return this.#emit(code | (here - 1 - jt) << 16 | (here - 1 - jf) << 24, operand);
  }

  /** Loads the 32-bit word at an offset of `struct seccomp_data`, then goes on. */
  load(offset: number, next: Target): Target {
    this.#follow(next);
    return this.#emit(LOAD, offset);
  }

  /** Masks the accumulator, then goes on. */
  and(mask: number, next: Target): Target {
    this.#follow(next);
    return this.#emit(AND, mask);
  }

  /** The program that begins at a target: `struct sock_filter[]`. */
  finish(entry: Target): Uint8Array<ArrayBuffer> {
    this.#follow(entry);
    const count = this.#words.length;
    const program = new Uint32Array(2 * count);
    for (let i = 0, at = 2 * count; i < count; i++) {
      program[--at] = this.#operands[i]!;
      program[--at] = this.#words[i]!;
    }
    return new Uint8Array(program.buffer);
  }

  #emit(word: number, operand: number): number {
    const here = this.#words.push(word) - 1;
    this.#operands.push(operand);
    if (here >= BPF_MAXINSNS) {
      throw new CrateError(
        "INVALID",
        `linux.seccomp compiles to more than the ${BPF_MAXINSNS} instructions that a filter may ` +
          "have: give fewer rules with args",
      );
    }
    return here;
  }

  /** An instruction within a conditional jump's reach, `later` instructions from now, that is the target. */
  #near(target: Target, later: number): number {
    const known = target < 0 ? this.#returns[~target] : target;
    if (known !== undefined && this.#words.length + later - 1 - known <= REACH) return known;
    return this.#goTo(target);
  }

  /** Sees that the instruction emitted next is followed by the target. */
  #follow(target: Target): void {
    if (target < 0 || target !== this.#words.length - 1) this.#goTo(target);
  }

  #goTo(target: Target): number {
    if (target >= 0) return this.#emit(JUMP, this.#words.length - 1 - target);
    return this.#returns[~target] = this.#emit(RETURN, this.#values[~target]!);
  }
}
