import {
  AT_EMPTY_PATH,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  PR_SET_PDEATHSIG,
  PROT_READ,
  PROT_WRITE,
  SIG_SETMASK,
  SIGKILL,
  STATX_BASIC_STATS,
} from "../constants.ts";
import { statx_layout } from "../structs.ts";
import type { Arch } from "../syscalls.ts";
import { encodeText } from "../text.ts";
import { type Cell, type Label, NEXT, type Program, ProgramBuilder, valueOf } from "./builder.ts";
import { align, fill, STEP_SIZE, stepAddress } from "./encode.ts";

// A program as a file that is mapped and not executed: what one process has prepared, another does later, where a
// file that was written meanwhile must not be executed (/run is mounted noexec by Debian). The file has steps,
// constants and variables, in this order. The process that walks it is a loader's, an ELF file of a few steps that
// maps the file and goes on in it; a step that fails without a way of its own goes on in the loader, which ends.

/** The steps come after the file's kind and its size. */
const HEADER = 8;
const SIZE_AT = 4;
/** Where a loader maps the file: nothing of its own process is near. */
const ADDRESS = 0x20000000;
const SIZE = 1 << 19;
/** A loader's descriptor of the file, which stays open. */
export const MAPPED_FILE = 3;

/** The exit code of a loader whose file is not as it must be, or one of whose steps has failed. */
export const LOADER_FAILED = 113;

/**
 * A program as a file for loaders.
 *
 * @param program begins with as many steps as there are places where it can be entered, each a jump; has no handler.
 * @param kind four ASCII letters with which the file begins: another kind when its entries, or the shape of files or
 *   steps, are no longer the same.
 * @returns undefined when it is too large.
 */
export function encodeMapped(
  program: Program,
  arch: Arch,
  kind: string,
): Uint8Array<ArrayBuffer> | undefined {
  if (program.handler !== undefined) {
    throw new Error("a mapped program's failures are its loader's");
  }
  const { steps, sizes } = program;
  const constants = HEADER + steps.length * STEP_SIZE;
  const variables = align(constants + sizes.constants, 8);
  const size = align(variables + sizes.variables + sizes.buffers, 8);
  if (size > SIZE) return undefined;
  const bytes = new Uint8Array(size);
  fill(program, arch, bytes, {
    steps: ADDRESS + HEADER,
    constants: ADDRESS + constants,
    variables: ADDRESS + variables,
  }, { steps: HEADER, constants, variables });
  bytes.set(encodeText(kind));
  new DataView(bytes.buffer).setUint32(SIZE_AT, size, true);
  return bytes;
}

/** Where a variable of a program stands in its file. */
export function mappedOffset({ steps, sizes }: Program, { kind, offset }: Cell): number {
  if (kind !== "variable") throw new Error(`a ${kind} is nobody's to change`);
  return align(HEADER + steps.length * STEP_SIZE + sizes.constants, 8) + offset;
}

/** What a loader is beside what it loads. */
export interface LoaderOptions {
  /**
   * It has taken its caller's place, and gives it back when it cannot go on: /bin/sh is executed with its own arguments
   * and environment. Else it is a child, which ends.
   */
  readonly inPlace?: boolean;
  /** All signals are blocked for what it maps, until it gives its place back. */
  readonly blocks?: boolean;
}

/** Where a mapped program goes on that has made another file the loader's descriptor 3: at its loader, which maps that. */
export function mapAgain(arch: Arch): Label {
  return { name: "map another file", index: NaN, address: stepAddress(1, arch) };
}

/**
 * The program of a loader: it maps the file that is its descriptor 3 and goes on at one of the file's first steps.
 * A file of another kind, or not all of one, or that somebody else can write, is not for it.
 */
export function compileLoader(
  entry: number,
  kind: string,
  { inPlace = false, blocks = false }: LoaderOptions = {},
): Program {
  const p = new ProgramBuilder();
  const refused = p.label("refused");
  p.handler(refused);
  const [begin, look] = [p.label("begin"), p.label("look")];
  p.jump(begin);
  // A mapped program has put another file in its place.
  p.call("munmap", [ADDRESS, SIZE]);
  p.jump(look);
  p.place(begin);
  const mask = p.variable("signal mask", 8);
  // All that the kernel knows of a file, statx(2).
  const status = p.variable("status", 256);
  const user = p.variable("user", 4);
  const found = p.variable("kind and size", HEADER);
  const own = p.label("own");
  const known = p.label("known");
  const whole = p.label("whole");
  const all = p.bytes(new Uint8Array(8).fill(0xff), "all");
  if (blocks) p.call("rt_sigprocmask", [SIG_SETMASK, all, mask, 8]);
  // Who kills the one that called it means this process.
  if (!inPlace) p.call("prctl", [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0]);
  p.place(look);
  p.call("statx", [MAPPED_FILE, p.string(""), AT_EMPTY_PATH, STATX_BASIC_STATS, status]);
  p.call("geteuid", [], { result: user });
  p.jumpIfEqual(valueOf(status, statx_layout.offset("stx_uid")), valueOf(user), own);
  p.jump(refused);
  p.place(own);
  p.compute(valueOf(status, statx_layout.offset("stx_mode")), 0, 0o022, { positive: refused });
  // Beyond its end is no memory.
  p.call("pread64", [MAPPED_FILE, found, HEADER, 0], { zero: refused });
  p.jumpIfEqual(valueOf(found), new DataView(encodeText(kind).buffer).getInt32(0, true), known);
  p.jump(refused);
  p.place(known);
  const size = valueOf(status, statx_layout.offset("stx_size"));
  p.jumpIfEqual(valueOf(found, SIZE_AT), size, whole);
  p.jump(refused);
  p.place(whole);
  const [access, flags] = [PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE];
  p.call("mmap", [ADDRESS, SIZE, access, flags, MAPPED_FILE, 0]);
  const address = ADDRESS + HEADER + entry * STEP_SIZE;
  p.jump({ name: `entry ${entry}`, index: NaN, address });
  p.place(refused);
  if (blocks) p.call("rt_sigprocmask", [SIG_SETMASK, mask, 0, 8], { negative: NEXT });
  if (inPlace) {
    p.call("close", [MAPPED_FILE], { negative: NEXT });
    const [argv, envp] = [{ own: "argv", from: 0 }, { own: "envp", from: 0 }] as const;
    p.call("execve", [p.string("/bin/sh"), argv, envp], { negative: NEXT });
  }
  p.call("exit_group", [LOADER_FAILED]);
  return p.build();
}
