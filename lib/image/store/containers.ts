import {
  AT_FDCWD,
  close,
  isMissing,
  LOCK_EX,
  LOCK_SH,
  mkdir,
  mkdirAll,
  O_CREAT,
  O_EXCL,
  O_RDWR,
  open,
  randomHex,
  readText,
  syscall,
  writeAll,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { explainedAsync, namesIn } from "./disk.ts";
import type { Paths } from "./layout.ts";
import { isHeld, tryFlock, underLock } from "./lock.ts";
import { removeTree } from "./remove_tree.ts";
import { treeSize } from "./tree_size.ts";

// What containers of images write: an overlay's upper and work directories, and volumes. It belongs to a
// container for as long as that one's record names it, and, until there is a record, to whoever holds the lock of
// its `owner` file. What belongs to nobody is removed by the next command that changes the store.

const MAX_OWNER = 1 << 16;
/** A container's record with its whole config. */
const MAX_RECORD = 64 << 20;

/** Where a container of an image writes to. Nothing of it is there before {@linkcode ContainerFiles.make}. */
export interface ContainerFiles {
  /** All of it is below this directory, which is called what nobody knew before. */
  readonly path: string;
  readonly upper: string;
  readonly work: string;
  /** The directory of a volume, by its number. */
  volume(number: number): string;
  /**
   * Makes the directories: `upper` as the root that it lies over, volumes with 0755.
   *
   * @throws {CrateError}
   */
  make(options: MakeOptions): Promise<OwnedFiles>;
}

/** What a container's directories are made for. */
export interface MakeOptions {
  /** Its state directory, whose record will name these. */
  readonly directory: string;
  readonly root: { readonly mode: number; readonly uid: number; readonly gid: number };
  readonly volumes: number;
}

/** The owner of what a container writes to; disposing of it leaves that to the container. */
export interface OwnedFiles extends Disposable {
  /** The container will not be, after all. */
  remove(): void;
}

/** Names directories for a new container. */
export function containerFiles(paths: Paths): ContainerFiles {
  const path = `${paths.containers}/${randomHex(8)}`;
  const files: ContainerFiles = {
    path,
    upper: `${path}/upper`,
    work: `${path}/work`,
    volume: (number) => `${path}/volumes/${number}`,
    make: (options) =>
      explainedAsync(paths, "make a place for what the container writes", () =>
        // Under the lock: who removes what belongs to nobody does not see it before it is locked.
        underLock(paths, LOCK_SH, () => make(path, files, options))),
  };
  return files;
}

function make(path: string, files: ContainerFiles, options: MakeOptions): OwnedFiles {
  const { directory, root, volumes } = options;
  mkdirAll(path, 0o700);
  const fd = open(ownerPath(path), O_RDWR | O_CREAT | O_EXCL, 0o600);
  try {
    if (!tryFlock(fd, LOCK_EX)) throw new CrateError("FAILED", `${path} is locked by another`);
    writeOwner(fd, { directory, path: files.upper });
    mkdir(files.upper, 0o700);
    syscall("fchownat", AT_FDCWD, files.upper, root.uid, root.gid, 0);
    syscall("fchmodat", AT_FDCWD, files.upper, root.mode);
    mkdir(files.work, 0o700);
    if (volumes > 0) mkdir(`${path}/volumes`, 0o711);
    for (let i = 0; i < volumes; i++) {
      mkdir(files.volume(i), 0o700);
      syscall("fchmodat", AT_FDCWD, files.volume(i), 0o755);
    }
  } catch (error) {
    close(fd);
    removeTree(path);
    throw error;
  }
  let isOpen = true;
  const end = () => {
    if (isOpen) close(fd);
    isOpen = false;
  };
  return {
    remove() {
      if (isOpen) removeTree(path);
      end();
    },
    [Symbol.dispose]: end,
  };
}

const ownerPath = (path: string) => `${path}/owner`;

const userOf = (path: string) => ownersContainer(ownerPath(path));

/** Those that belong to nobody any more: for certain under the exclusive lock, else perhaps. */
export function deadContainers(paths: Paths): string[] {
  return namesIn(paths.containers).map((name) => `${paths.containers}/${name}`)
    .filter((path) => userOf(path) === undefined);
}

/** What a container has written, or has left. */
export interface StoredContainer {
  /** The state directory of the container; undefined: it is of none any more. */
  readonly directory?: string;
  /** Bytes on the disk. */
  readonly size: number;
}

/** What all containers have written, and what waits for its removal. */
export function storedContainers(paths: Paths): StoredContainer[] {
  return namesIn(paths.containers).flatMap((name) => {
    const path = `${paths.containers}/${name}`;
    try {
      const directory = userOf(path);
      return [{ size: treeSize(path), ...directory !== undefined && { directory } }];
    } catch (error) {
      // Removed meanwhile.
      if (isMissing(error)) return [];
      throw error;
    }
  });
}

/** What an owner's file says. The store may be known by several paths: it is this one that the record has. */
export interface Owner {
  /** The state directory of the container. */
  readonly directory: string;
  /** What its record names. */
  readonly path: string;
  /** The state directory under another name, while it is renamed. */
  readonly also?: string;
}

/** Writes an owner's file that the caller has made and locked. @throws {SyscallError} */
export function writeOwner(fd: number, owner: Owner): void {
  writeAll(fd, JSON.stringify(owner), owner.path);
}

/** What an owner's file says; undefined when it is not whole. */
export function parseOwner(text: string): Owner | undefined {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * The state directory of the container that an owner's file names, as long as that container is being made by the
 * one who has locked the file (empty when it is not written yet), or has a record that names the path.
 */
export function ownersContainer(file: string): string | undefined {
  try {
    const held = isHeld(file);
    const owner = parseOwner(readText(file, MAX_OWNER));
    // In this order: who made it lets go when the record is there.
    if (held) return owner?.directory ?? "";
    // Whoever made it died over it.
    if (owner === undefined) return undefined;
    const { directory, path, also } = owner;
    return [directory, ...also === undefined ? [] : [also]].find((each) => names(each, path));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether there is a container in a directory whose record names a path. */
function names(directory: string, path: string): boolean {
  try {
    const record = readText(`${directory}/container.json`, MAX_RECORD);
    return record.includes(JSON.stringify(path).slice(1, -1));
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
