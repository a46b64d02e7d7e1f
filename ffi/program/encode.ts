import { INTERPRETERS } from "../interpreter/bytes.ts";
import { type Arch, syscallNumber } from "../syscalls.ts";
import { encodeInto } from "../text.ts";
import {
  type Argument,
  type Cell,
  type Content,
  type Label,
  NEXT,
  type OwnVector,
  type Program,
  type Step,
} from "./builder.ts";

// The encoder: a program becomes bytes, as an ELF file (elf(5)) or in the memory of this process.

/** The size of an encoded step; see interpreter/x86_64.s. */
export const STEP_SIZE = 80;

const TEXT_ADDRESS = 0x400000;
// The largest page of the machine's kernels: segments begin at a multiple of it.
const PAGE_SIZES: Record<Arch, number> = { x86_64: 4096, aarch64: 65536 };
const ELF_HEADER = 64;
const PROGRAM_HEADER = 56;
const HEADERS = ELF_HEADER + 3 * PROGRAM_HEADER;
const COMPUTE = -1;
const RETURN = -2;
const COMPARE = -3;
/** The distance that means: the step has failed. No other is odd; 0 is the step itself. */
const FAIL = 1;

/** Where the parts of an encoded program lie in memory. */
export interface Addresses {
  readonly steps: number;
  readonly constants: number;
  readonly variables: number;
}

/** An encoded program and its addresses. */
export interface Encoded {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly addresses: Addresses;
}

const interpreters: Partial<Record<Arch, Uint8Array>> = {};

/** The interpreter's machine code. */
export function interpreter(arch: Arch): Uint8Array {
  return interpreters[arch] ??= Uint8Array.fromHex(INTERPRETERS[arch].hex);
}

/** The next multiple. */
export const align = (value: number, to: number) => Math.ceil(value / to) * to;

/** Writes what stands in a cell at an offset. */
function writeContent(content: Content, view: DataView, bytes: Uint8Array, at: number): void {
  if (typeof content === "string") {
    const { length } = content;
    for (let i = 0; i < length; i++) {
      const code = content.charCodeAt(i);
      if (code > 127) {
        encodeInto(content, bytes.subarray(at));
        return;
      }
      bytes[at + i] = code;
    }
  } else if (content instanceof Uint8Array) bytes.set(content, at);
  else content.write(view, at);
}

/** Writes steps, constants and variables where they belong in `memory`, which is all zeros. */
export function fill(
  program: Program,
  arch: Arch,
  memory: Uint8Array<ArrayBuffer>,
  at: Addresses,
  /** Offsets in the memory of what has these addresses, multiples of 8. */
  offsets: Addresses,
): void {
  const { buffer, byteOffset, byteLength } = memory;
  const view = new DataView(buffer, byteOffset, byteLength);
  const words = new Int32Array(buffer, byteOffset, byteLength >> 2);
  const buffers = at.variables + program.sizes.variables;
  const addressOf = ({ kind, offset }: Cell) =>
    offset + (kind === "constant" ? at.constants : kind === "variable" ? at.variables : buffers);
  const offsetOf = ({ kind, offset }: Cell) =>
    offset + (kind === "constant" ? offsets.constants : offsets.variables);

  let word = offsets.steps >> 2;
  const { steps } = program;
  for (let i = 0; i < steps.length; i++, word += STEP_SIZE >> 2) {
    const { operation, args, result, negative, zero, positive } = steps[i]!;
    words[word] = operation === "compute"
      ? COMPUTE
      : operation === "compare"
      ? COMPARE
      : operation === "return"
      ? RETURN
      : syscallNumber(operation, arch);
    let mask = 0;
    for (let j = 0; j < args.length; j++) {
      const argument: Argument = args[j]!;
      let value: number;
      if (typeof argument === "number") value = argument;
      else if (typeof argument === "bigint") {
        view.setBigUint64((word + 8 + 2 * j) * 4, BigInt.asUintN(64, argument), true);
        continue;
      } else if ("kind" in argument) value = addressOf(argument);
      else if ("value" in argument) {
        mask |= 1 << j;
        value = addressOf(argument.value.cell) + argument.value.offset;
      } else if ("own" in argument) {
        mask |= ownVectorBit(argument.own, j);
        if (argument.own === "words") {
          mask |= 1 << j;
          value = addressOf(argument.from);
        } else value = 8 * argument.from;
      } else value = addressOf(argument.address.cell) + argument.address.offset;
      if (value !== 0) {
        words[word + 8 + 2 * j] = value;
        words[word + 9 + 2 * j] = Math.floor(value / 4294967296);
      }
    }
    words[word + 1] = mask;
    if (result !== undefined) {
      const address = addressOf(result.cell) + result.offset;
      words[word + 2] = address;
      words[word + 3] = Math.floor(address / 4294967296);
    }
    words[word + 4] = negative === undefined ? FAIL : distance(negative, i, at.steps);
    words[word + 5] = zero === undefined ? STEP_SIZE : distance(zero, i, at.steps);
    words[word + 6] = positive === undefined ? STEP_SIZE : distance(positive, i, at.steps);
  }

  for (const cell of program.constants) writeContent(cell.content!, view, memory, offsetOf(cell));
  for (const cell of program.variables) {
    if (cell.content !== undefined) writeContent(cell.content, view, memory, offsetOf(cell));
  }
  const setAddress = (where: number, address: number) => {
    view.setInt32(where, address | 0, true);
    view.setInt32(where + 4, Math.floor(address / 4294967296), true);
  };
  for (const { at: from, target } of program.relocations) {
    setAddress(offsetOf(from.cell) + from.offset, addressOf(target.cell) + target.offset);
  }
  if (program.handler !== undefined) {
    setAddress(offsets.variables + 16, at.steps + program.handler.index * STEP_SIZE);
  }
}

/** As the interpreter has it: where execve(2) and execveat(2) have argv and envp, and read(2) its buffer. */
const OWN_VECTORS: Readonly<Record<string, number>> = {
  "argv 1": 6,
  "argv 2": 7,
  "envp 2": 8,
  "words 1": 9,
};

function ownVectorBit(own: OwnVector["own"], argument: number): number {
  const bit = OWN_VECTORS[`${own} ${argument}`];
  if (bit === undefined) throw new Error(`the process's own ${own} cannot be argument ${argument}`);
  return 1 << bit;
}

function distance(to: Label, from: number, steps: number): number {
  if (to === NEXT) return STEP_SIZE;
  return to.address === undefined
    ? (to.index - from) * STEP_SIZE
    : to.address - (steps + from * STEP_SIZE);
}

/** Where the steps begin in a program's ELF file. */
const stepsAt = (arch: Arch) => align(HEADERS + interpreter(arch).length, 8);

/** The address that a step has in every process made from an ELF file of {@linkcode encodeElf}'s. */
export function stepAddress(step: number, arch: Arch): number {
  return TEXT_ADDRESS + stepsAt(arch) + step * STEP_SIZE;
}

/**
 * A program as a static ELF file: one segment to read and execute (interpreter, steps, constants),
 * one to read and write (variables), and a stack that cannot be executed.
 */
export function encodeElf(program: Program, arch: Arch): Encoded {
  const code = interpreter(arch);
  const page = PAGE_SIZES[arch];
  const steps = stepsAt(arch);
  const constants = steps + program.steps.length * STEP_SIZE;
  const textEnd = constants + program.sizes.constants;
  const variables = align(textEnd, 8);
  const fileEnd = align(variables + program.sizes.variables, 8);
  // The file's last text page is also its first data page; memory maps it twice, once each way.
  const dataAddress = TEXT_ADDRESS + align(textEnd, page) + variables % page;
  const addresses: Addresses = {
    steps: TEXT_ADDRESS + steps,
    constants: TEXT_ADDRESS + constants,
    variables: dataAddress,
  };

  const view = new DataView(new ArrayBuffer(fileEnd));
  const bytes = new Uint8Array(view.buffer);
  fill(program, arch, bytes, addresses, { steps, constants, variables });
  bytes.set(code, HEADERS);
  view.setUint32(HEADERS + INTERPRETERS[arch].patchSteps, addresses.steps, true);
  view.setUint32(HEADERS + INTERPRETERS[arch].patchHeader, addresses.variables, true);

  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, arch === "x86_64" ? 62 : 183, true); // EM_X86_64, EM_AARCH64
  view.setUint32(20, 1, true);
  view.setUint32(24, TEXT_ADDRESS + HEADERS, true); // e_entry
  view.setUint32(32, ELF_HEADER, true); // e_phoff
  view.setUint16(52, ELF_HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, 3, true);
  const segment = (
    index: number,
    type: number,
    flags: number,
    offset: number,
    address: number,
    fileSize: number,
    memorySize: number,
  ) => {
    const at = ELF_HEADER + index * PROGRAM_HEADER;
    view.setUint32(at, type, true);
    view.setUint32(at + 4, flags, true);
    view.setUint32(at + 8, offset, true);
    view.setUint32(at + 16, address, true);
    view.setUint32(at + 24, address, true);
    view.setUint32(at + 32, fileSize, true);
    view.setUint32(at + 40, memorySize, true);
    view.setUint32(at + 48, type === PT_LOAD ? page : 16, true);
  };
  const inMemory = program.sizes.variables + program.sizes.buffers;
  segment(0, PT_LOAD, PF_R | PF_X, 0, TEXT_ADDRESS, textEnd, textEnd);
  segment(1, PT_LOAD, PF_R | PF_W, variables, dataAddress, fileEnd - variables, inMemory);
  segment(2, PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0);
  return { bytes, addresses };
}

const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
const PF_X = 1;
const PF_W = 2;
const PF_R = 4;

/** What is no system call. */
const HARMLESS = new Set<string>(["compute", "compare", "return"] satisfies Step["operation"][]);

/** How many bytes `encodeAt` needs for a program. */
export function memorySize({ sizes, steps }: Program): number {
  return align(sizes.variables + sizes.buffers, 8) + steps.length * STEP_SIZE + sizes.constants;
}

/**
 * A program for this process, in memory at `base`: header, variables and buffers first, then the
 * steps, then the constants. It ends with a `return`.
 *
 * @throws {Error} when a call may fail and nothing says where to go on: a process of its own would
 *   die of it, this one must not.
 */
export function encodeAt(
  program: Program,
  arch: Arch,
  base: number,
  memory: Uint8Array<ArrayBuffer>,
): Addresses {
  if (program.handler === undefined) {
    const loose = program.steps.find((step) => !HARMLESS.has(step.operation) && !step.negative);
    if (loose) throw new Error(`the step "${loose.label}" may fail, and there is no handler`);
  }
  const steps = align(program.sizes.variables + program.sizes.buffers, 8);
  const offsets = { variables: 0, steps, constants: steps + program.steps.length * STEP_SIZE };
  const size = memorySize(program);
  memory.fill(0, 0, size);
  const at = {
    variables: base,
    steps: base + offsets.steps,
    constants: base + offsets.constants,
  };
  fill(program, arch, memory.subarray(0, size), at, offsets);
  return at;
}
