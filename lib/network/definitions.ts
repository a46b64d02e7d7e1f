import {
  AT_FDCWD,
  close,
  ENOENT,
  isMissing,
  mkdirAll,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  open,
  readDirectory,
  readText,
  syscall,
  SyscallError,
  trySyscall,
  writeAll,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type { NetworkDefinition } from "./types.ts";

// `<store>/networks/NAME.json`: what a network is. Unlike the state it outlives a reboot.

/** The version of the files' shape, for the crates to come. */
export const VERSION = 1;
const MAX_FILE = 1 << 20;
const SUFFIX = ".json";

/** Where all about networks lies. */
export interface NetworkPlaces {
  /** What lasts, `/var/lib/crate`: networks belong to it, whatever directory containers have their state in. */
  readonly store: string;
  /** What a reboot clears. */
  readonly state: string;
  /** The firewall's table. */
  readonly table: string;
}

const DEFAULT_STORE = "/var/lib/crate";
const STATE = "/run/crate/.networks";

/** The places that go with a store. */
export function networkPlaces(store: string): NetworkPlaces {
  const name = encodeURIComponent(store);
  const table = store === DEFAULT_STORE ? "crate" : `crate_${checksum(store)}`;
  return { store, state: `${STATE}/${name}`, table };
}

/** Eight digits by which texts differ: FNV-1a. */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

const directoryOf = ({ store }: NetworkPlaces) => `${store}/networks`;
const fileOf = (places: NetworkPlaces, name: string) => `${directoryOf(places)}/${name}${SUFFIX}`;

/** Where it is said what a network is. */
export const definitionFile = fileOf;

/** A network, undefined when there is none of this name. @throws {CrateError} `FAILED` for a broken file. */
export function readDefinition(places: NetworkPlaces, name: string): NetworkDefinition | undefined {
  const file = fileOf(places, name);
  let text: string;
  try {
    text = readText(file, MAX_FILE);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  let cause: unknown;
  try {
    const value: NetworkDefinition | null = JSON.parse(text);
    if (value?.version !== undefined && value.version !== VERSION) {
      throw new CrateError(
        "UNSUPPORTED",
        `${file} has version ${value.version}, this crate knows ${VERSION}`,
      );
    }
    if (value?.name === name && Array.isArray(value.subnets)) return value;
  } catch (error) {
    if (error instanceof CrateError) throw error;
    cause = error;
  }
  throw new CrateError("FAILED", `${file} is not whole: remove it`, { cause });
}

/** Every network that was made, by name. */
export function listDefinitions(places: NetworkPlaces): NetworkDefinition[] {
  let names: string[];
  try {
    names = readDirectory(directoryOf(places));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  return names
    .filter((name) => name.endsWith(SUFFIX) && !name.startsWith("."))
    .map((name) => readDefinition(places, name.slice(0, -SUFFIX.length)))
    .filter((definition) => definition !== undefined)
    .sort((a, b) => a.name < b.name ? -1 : 1);
}

/** Writes a network's file, whole and for good. @throws {CrateError} when it cannot be written. */
export function writeDefinition(places: NetworkPlaces, definition: NetworkDefinition): void {
  const file = fileOf(places, definition.name);
  // Nobody else writes one meanwhile; what a killed crate has left is written over.
  const made = `${directoryOf(places)}/.new`;
  try {
    mkdirAll(directoryOf(places), 0o755);
    const fd = open(made, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
    try {
      writeAll(fd, `${JSON.stringify(definition, null, 2)}\n`, made);
      syscall("fsync", fd);
    } finally {
      close(fd);
    }
    syscall("renameat2", AT_FDCWD, made, AT_FDCWD, file, 0);
    syncDirectory(places);
  } catch (error) {
    trySyscall("unlinkat", AT_FDCWD, made, 0);
    throw cannotWrite(file, error);
  }
}

/** Forgets a network. @throws {CrateError} when its file cannot be removed. */
export function removeDefinition(places: NetworkPlaces, name: string): void {
  const file = fileOf(places, name);
  const result = trySyscall("unlinkat", AT_FDCWD, file, 0);
  if (result < 0 && result !== -ENOENT) {
    throw cannotWrite(file, new SyscallError("unlinkat", -result, file));
  }
  if (result === 0) syncDirectory(places);
}

function syncDirectory(places: NetworkPlaces): void {
  const fd = open(directoryOf(places), O_RDONLY | O_DIRECTORY);
  try {
    syscall("fsync", fd);
  } finally {
    close(fd);
  }
}

function cannotWrite(file: string, cause: unknown): unknown {
  if (!(cause instanceof SyscallError)) return cause;
  return new CrateError("FAILED", `cannot write ${file}: ${cause.code}`, { cause });
}
