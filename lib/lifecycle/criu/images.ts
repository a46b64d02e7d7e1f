import {
  AT_FDCWD,
  AT_REMOVEDIR,
  close,
  decodeText,
  ENOENT,
  ENOTDIR,
  exists,
  mkdirAll,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  open,
  readAll,
  readDirectory,
  replaceFile,
  syscall,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { parseJson } from "../../spec/mod.ts";

// Directories of images: criu's own files; beside them descriptors.json, as runc has it, and crate.json.

const MODE = 0o700;
/** In a user namespace criu opens images, which are root's alone, as one that is not root. */
export const MODE_FOR_USERS = 0o711;
const MAX_FILE = 1 << 16;
const DESCRIPTORS = "descriptors.json";
const OWN = "crate.json";

/** A directory that criu writes to or reads from; disposing of it closes it. */
export interface Directory extends Disposable {
  readonly fd: number;
  /** Absolute. */
  readonly path: string;
}

/** What criu's images do not tell. */
export interface OwnRecord {
  /** The container had a monitor of crate's as its parent, with whom its init dies. */
  readonly monitored: boolean;
  /** Its groups' path. */
  readonly cgroupsPath?: string;
}

/** A path of the command line as an absolute one. */
export function absolute(path: string): string {
  if (path.startsWith("/")) return path;
  const buffer = new Uint8Array(4096);
  const length = syscall("getcwd", buffer, buffer.length);
  return `${decodeText(buffer.subarray(0, length - 1))}/${path}`;
}

function cannotOpen(option: string, path: string, cause: SyscallError): CrateError {
  const missing = cause.errno === ENOENT || cause.errno === ENOTDIR;
  return new CrateError(
    missing ? "NOT_FOUND" : "FAILED",
    missing
      ? `${option} ${path}: there is no such directory`
      : `${option} ${path} cannot be used: ${cause.code}`,
    { cause },
  );
}

/** Opens a directory that is there. @throws {CrateError} `NOT_FOUND` */
export function openImages(option: string, path: string): Directory {
  try {
    const fd = open(path, O_RDONLY | O_DIRECTORY);
    return { fd, path: absolute(path), [Symbol.dispose]: () => close(fd) };
  } catch (error) {
    if (error instanceof SyscallError) throw cannotOpen(option, path, error);
    throw error;
  }
}

/** A directory of images in the making. */
export interface NewImages extends Directory {
  /** Removes what has been written into it since; the log stays, for who wants to know why. */
  giveUp(log: string | undefined): void;
}

/** Opens a directory for new images, and makes it when it is not there. @throws {CrateError} `FAILED` */
export function makeImages(option: string, path: string, mode = MODE): NewImages {
  const isNew = !exists(path);
  try {
    mkdirAll(path, mode);
  } catch (error) {
    if (error instanceof SyscallError) throw cannotOpen(option, path, error);
    throw error;
  }
  const directory = openImages(option, path);
  const before = new Set(readDirectory(directory.path));
  return {
    ...directory,
    giveUp(log) {
      for (const name of readDirectory(directory.path)) {
        if (!before.has(name) && name !== log) trySyscall("unlinkat", directory.fd, name, 0);
      }
      // With the log in it, it is not empty.
      if (isNew) trySyscall("unlinkat", AT_FDCWD, directory.path, AT_REMOVEDIR);
    },
  };
}

/** Writes what goes with criu's images. */
export function writeRecords(
  { path }: Directory,
  descriptors: readonly string[],
  own: OwnRecord,
): void {
  replaceFile(`${path}/${DESCRIPTORS}`, JSON.stringify(descriptors), 0o600);
  replaceFile(`${path}/${OWN}`, JSON.stringify(own), 0o600);
}

function readJson({ fd, path }: Directory, name: string): unknown {
  const file = trySyscall("openat", fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
  if (file === -ENOENT) return undefined;
  if (file < 0) throw new SyscallError("openat", -file, `${path}/${name}`);
  try {
    return parseJson(decodeText(readAll(file, MAX_FILE)), `${path}/${name}`);
  } finally {
    close(file);
  }
}

/** What init's first three descriptors were; none where nobody has written that down. @throws {CrateError} `INVALID` */
export function readDescriptors(directory: Directory): readonly string[] {
  const value = readJson(directory, DESCRIPTORS) ?? [];
  if (
    Array.isArray(value) && value.length <= 3 &&
    value.every((each): each is string => typeof each === "string")
  ) return value;
  throw new CrateError(
    "INVALID",
    `${directory.path}/${DESCRIPTORS} must be a list of at most three strings`,
  );
}

/** What crate has written down; undefined for another runtime's images. @throws {CrateError} `INVALID` */
export function readOwn(directory: Directory): OwnRecord | undefined {
  const value = readJson(directory, OWN);
  if (value === undefined) return undefined;
  const { monitored, cgroupsPath } = (value ?? {}) as Record<string, unknown>;
  if (
    typeof monitored === "boolean" &&
    (cgroupsPath === undefined || typeof cgroupsPath === "string")
  ) return { monitored, ...cgroupsPath !== undefined && { cgroupsPath } };
  throw new CrateError(
    "INVALID",
    `${directory.path}/${OWN} must have monitored (true or false) and cgroupsPath (a string)`,
  );
}
