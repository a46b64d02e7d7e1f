import {
  type CallBatch,
  close,
  FixedCells,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  open,
  open_how,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from "../../../ffi/mod.ts";
import type { ByteString, TarTime } from "../tar/mod.ts";

/** So many directories are held open. More, up to 96, were not faster. */
const SLOTS = 32;
/** Cells behind those of the open directories. */
const ROOT = SLOTS;
const FILE = SLOTS + 1;
const RESULT = SLOTS + 2;

const DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/** A directory that this layer has. */
export interface Directory {
  /** Below the root, without links or dots; of the root "". */
  readonly path: ByteString;
  readonly parent: Directory | undefined;
  /** By their names. */
  readonly children: Map<ByteString, Directory>;
  /** Names that the layer takes away from those below it. */
  readonly whiteouts: Set<ByteString>;
  /** Where its descriptor will be; -1: it has none now. */
  slot: number;
  used: number;
  /** Files in it get its group. */
  isSetGid: boolean;
  /** Nothing of the layers below is seen in it. */
  isOpaque: boolean;
  /** Names in it whose link or directory in the layers below was followed, or taken as a pattern. */
  readonly followed: Set<ByteString>;
  /** What the times become at the end. */
  mtime: TarTime | undefined;
}

/** The directories of a layer, and descriptors of those that were used last. */
export class Directories {
  readonly root: Directory = node("", undefined);
  readonly rootFd: number;
  readonly #byPath = new Map<ByteString, Directory>([["", this.root]]);
  readonly #cells = new FixedCells(SLOTS + 3);
  readonly #owners: (Directory | undefined)[] = new Array(SLOTS).fill(undefined);
  #clock = 0;

  constructor(path: string) {
    this.rootFd = open(path, DIRECTORY_FLAGS);
    this.#cells.set(ROOT, this.rootFd);
  }

  /** Where the descriptor of the file at hand is. */
  get fileCell(): number {
    return this.#cells.address(FILE);
  }

  /** Where the result of a call is kept that makes no descriptor. */
  get resultCell(): number {
    return this.#cells.address(RESULT);
  }

  /** The latest results, to find out why something was not made. */
  get results(): { file: number; other: number } {
    return { file: this.#cells.get(FILE), other: this.#cells.get(RESULT) };
  }

  get(path: ByteString): Directory | undefined {
    return this.#byPath.get(path);
  }

  all(): IterableIterator<Directory> {
    return this.#byPath.values();
  }

  add(parent: Directory, name: ByteString): Directory {
    const added = node(pathIn(parent, name), parent);
    added.isOpaque = parent.isOpaque;
    parent.children.set(name, added);
    this.#byPath.set(added.path, added);
    return added;
  }

  /** Forgets a directory and all in it. Not while calls are on their way. */
  remove(directory: Directory): void {
    const { parent, path } = directory;
    parent?.children.delete(parent.path === "" ? path : path.slice(parent.path.length + 1));
    const left = [directory];
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      this.#byPath.delete(next.path);
      left.push(...next.children.values());
      if (next.slot < 0) continue;
      const fd = this.#cells.get(next.slot);
      if (fd >= 0) close(fd);
      this.#cells.set(next.slot, -1);
      this.#owners[next.slot] = undefined;
      next.slot = -1;
    }
  }

  /** Adds what opens a directory, up to three steps. @returns where its descriptor will be. */
  open(calls: CallBatch, directory: Directory): number {
    if (directory.parent === undefined) return this.#cells.address(ROOT);
    directory.used = ++this.#clock;
    if (directory.slot >= 0) return this.#cells.address(directory.slot);
    const slot = this.#oldest();
    const cell = this.#cells.address(slot);
    const before = this.#owners[slot];
    if (before !== undefined) {
      before.slot = -1;
      calls.call("close", 1, cell);
      calls.set(cell, -1);
    }
    this.#owners[slot] = directory;
    directory.slot = slot;
    const how = open_how.pack({
      flags: DIRECTORY_FLAGS,
      resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    });
    const path = calls.string(directory.path);
    calls.call("openat2", 1, this.#cells.address(ROOT), path, calls.bytes(how), how.length);
    calls.result(cell);
    return cell;
  }

  #oldest(): number {
    let oldest = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      const owner = this.#owners[slot];
      if (owner === undefined) return slot;
      if (owner.used < this.#owners[oldest]!.used) oldest = slot;
    }
    return oldest;
  }

  /** The descriptor of a directory whose opening is done. */
  fd(directory: Directory): number {
    return directory.parent === undefined ? this.rootFd : this.#cells.get(directory.slot);
  }

  /** Closes all descriptors. Not while calls are on their way. */
  close(): void {
    for (let cell = 0; cell <= FILE; cell++) {
      const fd = this.#cells.get(cell);
      if (fd >= 0) close(fd);
      this.#cells.set(cell, -1);
    }
  }
}

function node(path: ByteString, parent: Directory | undefined): Directory {
  return {
    path,
    parent,
    children: new Map(),
    whiteouts: new Set(),
    followed: new Set(),
    slot: -1,
    used: 0,
    isSetGid: false,
    isOpaque: false,
    mtime: undefined,
  };
}

/** A directory and all below it. */
export function* within(directory: Directory): Generator<Directory> {
  yield directory;
  for (const child of directory.children.values()) yield* within(child);
}

/** The path of a name in a directory. */
export function pathIn(directory: Directory, name: ByteString): ByteString {
  return directory.path === "" ? name : `${directory.path}/${name}`;
}
