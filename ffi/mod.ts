// The only place that knows C: system calls, struct layouts, constants, and programs of system calls.
export * from "./constants.ts";
export * from "./errno.ts";
export { type GuardedFile, guardFile } from "./guard.ts";
export { ResidentProgram } from "./resident.ts";
export * from "./structs.ts";
export { type Fields, Layout, type Values } from "./layout.ts";
export type { Arch, SyscallName } from "./syscalls.ts";
export {
  arch,
  LIBC_PATHS,
  libcPath,
  openLibc,
  type Run,
  runProgram,
  runProgramAsync,
  syscall,
  type SyscallArgument,
  trySyscall,
} from "./libc.ts";
export {
  close,
  createFile,
  exists,
  mkdir,
  mkdirAll,
  open,
  readAll,
  readDirectory,
  readFile,
  readText,
  replaceFile,
  rmdir,
  unlink,
  writeAll,
  writeFile,
} from "./files.ts";
export {
  addressOf,
  type Argument,
  type Cell,
  type Label,
  NEXT,
  type OwnVector,
  type Place,
  placeIn,
  type Program,
  ProgramBuilder,
  type Step,
  type StepOptions,
  valueOf,
} from "./program/builder.ts";
export { type Encoded, encodeElf, STEP_SIZE, stepAddress } from "./program/encode.ts";
export {
  compileLoader,
  encodeMapped,
  LOADER_FAILED,
  type LoaderOptions,
  mapAgain,
  MAPPED_FILE,
  mappedOffset,
} from "./program/mapped.ts";
export { CallBatch, FixedCells } from "./batch.ts";
export { canHash, Sha256 } from "./sha256/sha256.ts";
export { canInflate, InflateError, Inflater, type InflateStop } from "./inflate/inflater.ts";
export { randomHex } from "./random.ts";
export { decodeText, encodeText } from "./text.ts";
export { printProgram } from "./program/print.ts";
export { blockSignals } from "./signals.ts";
export {
  become,
  type BecomeOptions,
  end,
  enter,
  type Entrance,
  type ProcessOptions,
  resetDispositions,
  setDisposition,
  spawn,
} from "./process.ts";
export { isInitialUserNamespace } from "./user_namespace.ts";
export { identify, isAlive, openProcess, type ProcessId } from "./process_id.ts";
export { withAddress } from "./unix.ts";
