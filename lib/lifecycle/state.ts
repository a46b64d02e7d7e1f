import {
  AT_FDCWD,
  AT_REMOVEDIR,
  EACCES,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EROFS,
  exists,
  isMissing,
  mkdirAll,
  randomHex,
  readDirectory,
  readFile,
  readText,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import type { ResctrlGroup, Unit } from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import { parseJson, type Spec } from "../spec/mod.ts";
import { isAlive, type ProcessId } from "./process_id.ts";
import type { RecordedNetwork } from "./network.ts";
import { EXIT_RECORD_SIZE } from "./program/mod.ts";
import { isAwaited } from "./sockets.ts";

// State on disk: one directory a container, `<root>/<id>/`, with
//   container.json   what was asked for, written before anything else is made;
//   process.json     who runs, written before the user's program may start;
//   exit             how it ended, written by the monitor;
//   start            the socket on which a created container waits for its start;
//   log              the output of a detached container;
//   exec             an exec of its own process with other arguments, as a program; see offer_exec.ts;
//   engine-exec      an exec of what an engine has executed twice, as a program;
//   engine-exec-last what an engine has executed last;
//   filter           its seccomp filter, compiled; see stored_filter.ts;
//   verbs            a created container's start, state, kill and delete as a program; see verbs.ts;
//   start-failed     what failed in a start by that program, for the crate that tells it;
//   notify/          the socket on which a container tells that it is ready; see notify.ts.
// Each file is written once and whole, and the directory gets its name when container.json is in it;
// see claim.ts. State lives where a reboot clears it, so it is not fsynced.

/** The version of the files' shape, for the crates to come. */
export const VERSION = 1;
const MOUNT_POINT = ".mount";
/** What a retired container's directory is called until it is gone. */
const RETIRED = ".retired-";
/** … and until it has its record. */
const MAKING = ".making-";
const MAX_FILE = 16 << 20;

/** `container.json`: what a container is, for its whole life. */
export interface ContainerRecord {
  readonly version: number;
  readonly id: string;
  /** RFC 3339. */
  readonly created: string;
  readonly bundle: string;
  readonly spec: Spec;
  /** Its groups' path below every hierarchy; absent: it has none of its own. */
  readonly cgroupsPath?: string;
  /** Its resctrl group, when its config has `linux.intelRdt`. */
  readonly resctrl?: ResctrlGroup;
  /** The unit by which systemd has made them. */
  readonly systemd?: Unit;
  readonly detached: boolean;
  /** Made by `create`: its parent is whoever called crate, and crate has no monitor beside it. */
  readonly engine?: boolean;
  /** Nothing is kept when it ends. */
  readonly remove: boolean;
  readonly stopSignal?: string;
  /** Seconds. */
  readonly stopTimeout?: number;
  /** Of which networks it is; absent: of none, or of the host's. */
  readonly network?: RecordedNetwork;
}

/** `process.json`: the processes of a running container, as the host sees them. */
export interface ProcessRecord {
  readonly init: ProcessId;
  readonly monitor?: ProcessId;
  /** The monitor finds its files in the directory, whatever that is called by then. */
  readonly movable?: true;
  /** What the steps between `start` and the user's program are called, by their addresses. */
  readonly startSteps?: Readonly<Record<string, string>>;
}

const RECORD = ["version", "id", "created", "spec"] as const;
const PROCESS = ["init"] as const;

/** How a container ended. */
export interface Exit {
  /** The init's code, or 128 + the signal's number. */
  readonly code: number;
  /** The signal that killed it. */
  readonly signal?: number;
  readonly at?: Date;
}

/** The states of the runtime-spec, runtime.md. */
export type Status = "creating" | "created" | "running" | "stopped";

/** Whether it has a process. */
export function isLive(status: Status): boolean {
  return status === "running" || status === "created";
}

/** A container as its files tell it. */
export interface ContainerState {
  readonly record: ContainerRecord;
  readonly status: Status;
  readonly process?: ProcessRecord;
  readonly exit?: Exit;
}

/** The files of one container. */
export interface Paths {
  readonly directory: string;
  readonly container: string;
  readonly process: string;
  readonly exit: string;
  readonly start: string;
  readonly log: string;
}

/** Where a container's files lie. */
export function statePaths(root: string, id: string): Paths {
  const directory = `${root}/${id}`;
  return {
    directory,
    container: `${directory}/container.json`,
    process: `${directory}/process.json`,
    exit: `${directory}/exit`,
    start: `${directory}/start`,
    log: `${directory}/log`,
  };
}

/** Where every init attaches its root, in its own mount namespace. */
export function mountPoint(root: string): string {
  return `${root}/${MOUNT_POINT}`;
}

/**
 * Makes the directory of all state.
 *
 * @throws {CrateError} `PERMISSION` when this user may not, `INVALID` when there is something else.
 */
export function prepareRoot(root: string): void {
  if (exists(mountPoint(root))) return;
  try {
    mkdirAll(root, 0o711);
    mkdirAll(mountPoint(root), 0o700);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const denied = error.errno === EACCES || error.errno === EROFS;
    throw new CrateError(
      denied ? "PERMISSION" : "INVALID",
      `cannot make the state directory ${root}: ${error.code}; --root names another`,
    );
  }
}

/** A JSON file with these fields in it; undefined when it is not there. @throws {CrateError} `FAILED` */
function readJson<T extends object>(file: string, fields: readonly (keyof T)[]): T | undefined {
  let text: string;
  try {
    text = readText(file, MAX_FILE);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  let cause: unknown;
  try {
    const value = parseJson(text, file) as T | null;
    if (value !== null && fields.every((field) => Object.hasOwn(value, field))) return value;
  } catch (error) {
    cause = error;
  }
  throw new CrateError("FAILED", `${file} is not whole: remove its directory`, { cause });
}

function readExit(file: string): Exit | undefined {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = readFile(file, EXIT_RECORD_SIZE);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  if (bytes.length < EXIT_RECORD_SIZE) return undefined;
  const view = new DataView(bytes.buffer);
  const seconds = Number(view.getBigInt64(32, true));
  const at = new Date(seconds * 1000 + Number(view.getBigInt64(40, true)) / 1e6);
  return { ...decodeExit(bytes), at };
}

const CLD_EXITED = 1;

/** What waitid(2) told: `si_code` at 8, `si_status` at 24. */
export function decodeExit(siginfo: Uint8Array<ArrayBuffer>): Exit {
  const view = new DataView(siginfo.buffer, siginfo.byteOffset);
  const status = view.getInt32(24, true);
  if (view.getInt32(8, true) === CLD_EXITED) return { code: status & 0xff };
  const signal = status & 0x7f;
  return { code: 128 + signal, signal };
}

/** A container's state, undefined when there is none of this id. @throws {CrateError} */
export function readState(root: string, id: string): ContainerState | undefined {
  const paths = statePaths(root, id);
  const written = readJson<ContainerRecord>(paths.container, RECORD);
  if (written === undefined) return undefined;
  // A container is called what its directory is: a rename is one step.
  const record = { ...written, id };
  if (record.version !== VERSION) {
    throw new CrateError(
      "UNSUPPORTED",
      `${paths.container} has version ${record.version}, this crate knows ${VERSION}`,
    );
  }
  const process = readJson<ProcessRecord>(paths.process, PROCESS);
  const exit = readExit(paths.exit);
  if (exit !== undefined) return { record, status: "stopped", process, exit };
  if (process === undefined) return { record, status: "creating" };
  if (isAlive(process.init)) {
    const waits = record.engine === true && isAwaited(paths.start);
    return { record, status: waits ? "created" : "running", process };
  }
  // The end may have been written between the two looks.
  return { record, status: "stopped", process, exit: readExit(paths.exit) };
}

function namesIn(directory: string): string[] {
  try {
    return readDirectory(directory);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (error.errno === ENOENT) return [];
    if (error.errno !== ENOTDIR) throw error;
    throw new CrateError("INVALID", `${directory} is not a directory; --root names another`);
  }
}

/** Every id that has a directory, in no order. */
export function listIds(root: string): string[] {
  return namesIn(root).filter((name) => !name.startsWith("."));
}

/**
 * The id that a word means: itself, or the only one that begins with it.
 *
 * @throws {CrateError} `NOT_FOUND`, or `INVALID` when several do.
 */
export function findId(root: string, word: string): string {
  if (!word.includes("/") && !word.startsWith(".") && exists(statePaths(root, word).container)) {
    return word;
  }
  const found = word === "" ? [] : listIds(root).filter((id) => id.startsWith(word));
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    throw new CrateError("INVALID", `"${word}" begins ${found.length} ids: ${found.join(", ")}`);
  }
  throw new CrateError("NOT_FOUND", `container "${word}" does not exist: crate list shows them`);
}

/** Eight digits that nobody else has. */
export function unique(): string {
  return randomHex(4);
}

/** A path under which a container's directory waits for its removal. @param name that nobody else of this id gives. */
export function retiredPath(root: string, id: string, name: string = unique()): string {
  return `${root}/${RETIRED}${id}-${name}`;
}

/** A path for a container's directory before it has its record. @param name that nobody else gives. */
export function makingPath(root: string, name: string = unique()): string {
  return `${root}/${MAKING}${name}`;
}

/** The files that a container's directory may hold. */
export const STATE_FILES = [
  "exit",
  "exit.new",
  "start",
  "log",
  "process.json",
  "process.json.new",
  "exec",
  "filter",
  "container.json",
] as const;

/** … and that of a container that was made by `create`. */
export const ENGINE_FILES = [
  "verbs",
  "start-failed",
  "engine-exec",
  "engine-exec-last",
  ...STATE_FILES,
] as const;

/** The file without which a directory is no container's. */
const RECORD_FILE = "container.json";

/**
 * Removes a container's directory with all its files, its record last: one that has none may be somebody else's, and is
 * for {@linkcode removeLeft}.
 *
 * @throws {SyscallError}
 */
export function removeDirectory(directory: string): void {
  // A dying monitor may still write its last file, and others may remove what we do.
  for (let attempt = 0;; attempt++) {
    for (const name of namesIn(directory)) {
      const path = `${directory}/${name}`;
      if (name === RECORD_FILE || trySyscall("unlinkat", AT_FDCWD, path, 0) !== -EISDIR) continue;
      for (const below of namesIn(path)) trySyscall("unlinkat", AT_FDCWD, `${path}/${below}`, 0);
      trySyscall("unlinkat", AT_FDCWD, path, AT_REMOVEDIR);
    }
    trySyscall("unlinkat", AT_FDCWD, `${directory}/${RECORD_FILE}`, 0);
    const result = trySyscall("unlinkat", AT_FDCWD, directory, AT_REMOVEDIR);
    if (result === 0 || result === -ENOENT) return;
    if (result !== -ENOTEMPTY || attempt === 3) throw new SyscallError("rmdir", -result, directory);
  }
}

/**
 * Removes what somebody who died over removing a container has left: a directory with nothing in it. Any other one that
 * has no record is not crate's, and stays.
 *
 * @returns whether there is nothing any more.
 */
export function removeLeft(directory: string): boolean {
  const result = trySyscall("unlinkat", AT_FDCWD, directory, AT_REMOVEDIR);
  return result === 0 || result === -ENOENT;
}

/** Directories of retired containers whose monitor died before it could remove them. */
export function listRetired(root: string): string[] {
  return namesIn(root).filter((name) => name.startsWith(RETIRED)).map((name) => `${root}/${name}`);
}

/** Directories that have no record yet: of crates that are writing one, or that died over it. */
export function listMaking(root: string): string[] {
  return namesIn(root).filter((name) => name.startsWith(MAKING)).map((name) => `${root}/${name}`);
}

/** The record in a retired container's directory. */
export function readRetired(directory: string): ContainerRecord | undefined {
  return readJson<ContainerRecord>(`${directory}/container.json`, RECORD);
}

/** The processes in a retired container's directory. */
export function readRetiredProcess(directory: string): ProcessRecord | undefined {
  return readJson<ProcessRecord>(`${directory}/process.json`, PROCESS);
}
