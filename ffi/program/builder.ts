import type { Layout } from "../layout.ts";
import type { Fields, Values } from "../layout.ts";
import type { SyscallName } from "../syscalls.ts";

/**
 * Bytes of a program's data: constant (read-only, beside the steps), variable, or a buffer: a
 * variable so large and empty that it is only made room for.
 */
export interface Cell {
  readonly kind: "constant" | "variable" | "buffer";
  /** A variable's name, or what bytes are; `--explain` prints it. */
  readonly name: string;
  readonly size: number;
  /** Initial content; absent: zeros. */
  readonly content?: Content;
  /** Where in its segment; the builder gives it. */
  readonly offset: number;
}

/** What stands in a cell: bytes, a NUL-terminated string, a struct. Encoded with the program. */
export type Content = Uint8Array | string | StructContent;

/** A struct's values, and how to write them. */
export interface StructContent {
  readonly values: Readonly<Record<string, number | bigint | undefined>>;
  write(view: DataView, at: number): void;
}

function structContent<F extends Fields>(layout: Layout<F>, values: Values<F>): StructContent {
  return { values, write: (view, at) => layout.write(view, at, values) };
}

/** A place in a cell. */
export interface Place {
  readonly cell: Cell;
  readonly offset: number;
}

/** A point in a program that a step can go to. */
export interface Label {
  readonly name: string;
  index: number;
  /** Where it is in memory, when it is a step of another program's. */
  readonly address?: number;
}

/** The step that follows, for a result whose sign does not matter. */
export const NEXT: Label = { name: "next", index: NaN };

/** An argument: a constant, the address of a cell, the value *at* a place, an address in what the process was given. */
export type Argument =
  | number
  | bigint
  | Cell
  | { readonly address: Place }
  | { readonly value: Place }
  | OwnVector;

/**
 * An address in what the process was executed with, of a program in an ELF file of its own: of a pointer in its vectors,
 * from `from` on, as `argv` or `envp` of an execve(2); or in the words themselves, as many bytes after the first one's
 * beginning as a cell's value says.
 */
export type OwnVector =
  | { readonly own: "argv" | "envp"; readonly from: number }
  | { readonly own: "words"; readonly from: Cell };

/** One system call or computation of a program, and where to go on. */
export interface Step {
  /** A system call, or: `(a - b) & c`, whether bytes are the same, back to the caller of an in-process program. */
  readonly operation: SyscallName | "compute" | "compare" | "return";
  readonly args: readonly Argument[];
  /** What a person calls this step; a failure is reported with it. */
  readonly label: string;
  /** Where the low 32 bits of the result go. */
  readonly result?: Place;
  /** Where to go on; absent: the next step, and for a negative result: the failure handler. */
  readonly negative?: Label;
  readonly zero?: Label;
  readonly positive?: Label;
}

/** A pointer inside the data: at `at` stands the address of `target`. */
export interface Relocation {
  readonly at: Place;
  readonly target: Place;
}

/** A list of system calls with its data: a value, ready to be encoded or printed. */
export interface Program {
  readonly steps: readonly Step[];
  readonly constants: readonly Cell[];
  readonly variables: readonly Cell[];
  /** How many bytes the constants, the variables with the header, and the buffers take. */
  readonly sizes: {
    readonly constants: number;
    readonly variables: number;
    readonly buffers: number;
  };
  readonly relocations: readonly Relocation[];
  /** Where a failing step without a `negative` label goes on. */
  readonly handler?: Label;
  readonly labels: readonly Label[];
}

/** What a step may say beside its call. */
export interface StepOptions {
  label?: string;
  result?: Cell | Place;
  negative?: Label;
  zero?: Label;
  positive?: Label;
}

/** The header that every program's data begins with; see interpreter/x86_64.s. */
export const HEADER_SIZE = 32;

/** From this size on a variable without a value is a buffer. */
const BUFFER_SIZE = 128;

function place(at: Cell | Place): Place {
  return "cell" in at ? at : { cell: at, offset: 0 };
}

/** The value at a cell, or `offset` bytes into it: a signed 32-bit number when the step runs. */
export function valueOf(cell: Cell, offset = 0): Argument {
  return { value: { cell, offset } };
}

/** A place `offset` bytes into a cell, for a result or a pointer. */
export function placeIn(cell: Cell, offset: number): Place {
  return { cell, offset };
}

/** The address `offset` bytes into a cell. */
export function addressOf(cell: Cell, offset = 0): Argument {
  return { address: { cell, offset } };
}

/**
 * Puts a program together, step by step.
 *
 * @example
 * ```ts
 * import { ProgramBuilder, valueOf } from "./builder.ts";
 * const p = new ProgramBuilder();
 * const fd = p.variable("fd", 4);
 * p.call("openat", [-100, p.string("/dev/null"), 0, 0], { label: "open /dev/null", result: fd });
 * p.call("close", [valueOf(fd)]);
 * p.call("exit_group", [0]);
 * const program = p.build();
 * ```
 */
export class ProgramBuilder {
  readonly #steps: Step[] = [];
  readonly #constants: Cell[] = [];
  readonly #variables: Cell[] = [];
  readonly #relocations: Relocation[] = [];
  readonly #labels: Label[] = [];
  readonly #strings = new Map<string, Cell>();
  #constantsEnd = 0;
  #variablesEnd = HEADER_SIZE;
  #buffersEnd = 0;
  #handler?: Label;
  /** The header's cell: `failed`, `error`, `handler`, `last` at 0, 8, 16, 24. */
  readonly header: Cell = { kind: "variable", name: "header", size: HEADER_SIZE, offset: 0 };

  /** A NUL-terminated string; equal strings share one cell. */
  string(text: string): Cell {
    let cell = this.#strings.get(text);
    if (cell === undefined) {
      cell = this.#constant(stringSize(text), 1, text, "");
      this.#strings.set(text, cell);
    }
    return cell;
  }

  /** Constant bytes. */
  bytes(bytes: Uint8Array, name = `(${bytes.length} bytes)`): Cell {
    return this.#constant(bytes.length, 8, bytes, name);
  }

  /** A constant struct. */
  struct<F extends Fields>(layout: Layout<F>, values: Values<F>): Cell {
    return this.#constant(layout.size, 8, structContent(layout, values), "");
  }

  #constant(size: number, align: number, content: Content, name: string): Cell {
    const offset = (this.#constantsEnd + align - 1) & -align;
    const cell: Cell = { kind: "constant", name, size, content, offset };
    this.#constantsEnd = offset + size;
    this.#constants.push(cell);
    return cell;
  }

  /** Memory the program may change: zeros, or a copy of `initial`. */
  variable(name: string, size: number, initial?: Content): Cell {
    if (initial === undefined && size >= BUFFER_SIZE) {
      const offset = this.#buffersEnd;
      this.#buffersEnd = (offset + size + 7) & ~7;
      return { kind: "buffer", name, size, offset };
    }
    const offset = this.#variablesEnd;
    const cell: Cell = { kind: "variable", name, size, content: initial, offset };
    this.#variablesEnd = (offset + size + 7) & ~7;
    this.#variables.push(cell);
    return cell;
  }

  /** A struct the program may change. */
  variableStruct<F extends Fields>(name: string, layout: Layout<F>, values: Values<F>): Cell {
    return this.variable(name, layout.size, structContent(layout, values));
  }

  /** An array of addresses, with a closing null: `argv`, `envp`. */
  pointers(targets: readonly Cell[], name: string): Cell {
    const size = 8 * (targets.length + 1);
    const cell = this.#constant(size, 8, new Uint8Array(size), name);
    targets.forEach((target, i) => this.pointer(placeIn(cell, 8 * i), target));
    return cell;
  }

  /** Puts the address of `target` at a place in the data. */
  pointer(at: Place, target: Cell | Place): void {
    this.#relocations.push({ at, target: place(target) });
  }

  /** A label, to be placed once. */
  label(name: string): Label {
    const label = { name, index: -1 };
    this.#labels.push(label);
    return label;
  }

  /** The label stands here: before the next step. */
  place(label: Label): void {
    if (label.index >= 0) throw new Error(`the label ${label.name} stands in two places`);
    label.index = this.#steps.length;
  }

  /** A system call. */
  call(name: SyscallName, args: readonly Argument[], options: StepOptions = {}): void {
    this.#step(name, args, options);
  }

  /** `(a - b) & mask`: moves, compares, counts. */
  compute(a: Argument, b: Argument, mask: Argument, options: StepOptions = {}): void {
    this.#step("compute", [a, b, mask], options);
  }

  /** Stores a value of 32 bits. */
  set(to: Cell | Place, value: Argument): void {
    this.#step("compute", [value, 0, -1], { result: to, negative: NEXT });
  }

  /** Stores `a - b`. */
  subtract(to: Cell | Place, a: Argument, b: Argument): void {
    this.#step("compute", [a, b, -1], { result: to, negative: NEXT });
  }

  /** Goes on at a label. */
  jump(to: Label): void {
    this.#step("compute", [0, 0, 0], { zero: to });
  }

  /** Goes to `to` when `a` equals `b`, else to the next step. */
  jumpIfEqual(a: Argument, b: Argument, to: Label): void {
    this.#step("compute", [a, b, -1], { zero: to, negative: NEXT });
  }

  /** Goes on at `same` when as many bytes are the same at both addresses, else at `other`; at least one. */
  compare(a: Argument, b: Argument, size: Argument, same: Label, other: Label): void {
    this.#step("compare", [a, b, size], { zero: same, positive: other, negative: NEXT });
  }

  /** Ends a program that runs inside a process, and not as one. */
  return(): void {
    this.#step("return", [], {});
  }

  #step(operation: Step["operation"], args: readonly Argument[], o: StepOptions): void {
    this.#steps.push({
      operation,
      args,
      label: o.label ?? operation,
      result: o.result && place(o.result),
      negative: o.negative,
      zero: o.zero,
      positive: o.positive,
    });
  }

  /** A failing step without a way of its own goes on here. */
  handler(label: Label): void {
    this.#handler = label;
  }

  /**
   * The finished program.
   *
   * @throws {Error} when a label that a step goes to has no place.
   */
  build(): Program {
    for (const label of this.#labels) {
      if (label.index < 0) throw new Error(`the label ${label.name} has no place`);
    }
    return {
      steps: this.#steps,
      constants: this.#constants,
      variables: this.#variables,
      sizes: {
        constants: this.#constantsEnd,
        variables: this.#variablesEnd,
        buffers: this.#buffersEnd,
      },
      relocations: this.#relocations,
      handler: this.#handler,
      labels: this.#labels,
    };
  }
}

/** The bytes of a string and its NUL. */
function stringSize(text: string): number {
  let size = text.length + 1;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0) throw new RangeError(`a string with a NUL byte: ${JSON.stringify(text)}`);
    // Room for three bytes where half of a pair takes two: alone it becomes U+FFFD.
    if (code > 127) size += code < 0x800 ? 1 : 2;
  }
  return size;
}
