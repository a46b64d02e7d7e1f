import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  close,
  EACCES,
  EBUSY,
  EDQUOT,
  EEXIST,
  EINTR,
  ELOOP,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  EOPNOTSUPP,
  EPERM,
  EROFS,
  errnoName,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  type SyscallArgument,
  type SyscallName,
  trySyscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import {
  bytesOf,
  type ByteString,
  quoted,
  type TarEntry,
  type TarHandler,
  type TarTime,
  textOf,
} from "../tar/mod.ts";
import { isKept, splitPath, statusOf } from "../unpack/mod.ts";

// Entries of an archive or of a walk -> files in a tree that is there already, and that others may change meanwhile.
// Every name is made in a directory that is held by its descriptor, and made anew: nothing that stands there is opened,
// written to, or given another owner.

type Bytes = Uint8Array<ArrayBuffer>;

/** Whom something belongs to. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Where and how entries are made. */
export interface MergeOptions {
  /** Opens a directory by its path. @returns a descriptor, or the negative number of the error. */
  readonly open: (path: ByteString) => number;
  /** A path as a message shows it. */
  readonly shown: (path: string) => string;
  /** With the source's set-id bits and capabilities. */
  readonly archive: boolean;
  /** Whom it belongs to, by the entry's owner; undefined: to this process. */
  readonly owner?: (uid: number, gid: number) => Owner | undefined;
  readonly warn: (message: string) => void;
}

/** A directory whose time is set when all that is in it is there. */
interface Timed {
  readonly path: ByteString;
  readonly mtime: TarTime;
}

interface OpenFile {
  readonly fd: number;
  readonly directory: number;
  readonly name: Bytes;
  readonly entry: TarEntry;
  end: number;
}

/**
 * Makes entries in a tree: what is no directory replaces what is no directory, directories that are there stay as they
 * are, and one is never replaced by the other. Devices are left out: a container that may make one must not have it made on
 * the host, nor the other way round.
 */
export class TreeMerger implements TarHandler {
  readonly #options: MergeOptions;
  #parent: { readonly path: ByteString; readonly fd: number } | undefined;
  #file: OpenFile | undefined;
  /** Each within the one before it. */
  readonly #timed: Timed[] = [];
  #devices = 0;
  #firstDevice: ByteString | undefined;

  constructor(options: MergeOptions) {
    this.#options = options;
  }

  entry(entry: TarEntry): void {
    const names = splitPath(entry.path);
    if (typeof names === "string") throw invalid(entry.path, names);
    const path = names.join("/");
    const name = names.pop();
    this.#leave(path);
    if (name === undefined) {
      // The directory that all goes into stays as it is.
      if (entry.type === "directory") return;
      throw invalid(entry.path, "has no name");
    }
    if (entry.type === "character" || entry.type === "block") {
      this.#firstDevice ??= path;
      this.#devices++;
      return;
    }
    const directory = this.#directory(names);
    const bytes = bytesOf(name, 1);
    if (this.#clear(directory, bytes, path, entry)) return;
    switch (entry.type) {
      case "directory":
        return this.#makeDirectory(directory, bytes, path, entry);
      case "file":
        return this.#makeFile(directory, bytes, path, entry);
      case "hardlink":
        return this.#link(directory, bytes, path, entry);
      default:
        return this.#makeOther(directory, bytes, path, entry);
    }
  }

  data(chunk: Bytes, offset: number): void {
    const file = this.#file;
    if (file === undefined) return;
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at);
      const count = trySyscall("pwrite64", file.fd, part, part.length, offset + at);
      if (count === -EINTR) continue;
      if (count < 0) throw this.#failure(file.entry.path, -count);
      at += count;
    }
    file.end = offset + chunk.length;
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    const { fd, entry } = file;
    const { path } = entry;
    if (file.end < entry.size) this.#call(path, "ftruncate", fd, entry.size);
    const owner = this.#options.owner?.(entry.uid, entry.gid);
    // In this order: another owner takes set-id bits and capabilities away.
    if (owner !== undefined) this.#call(path, "fchown", fd, owner.uid, owner.gid);
    this.#call(path, "fchmod", fd, this.#modeOf(entry));
    this.#setXattrs(fd, entry);
    this.#call(path, "utimensat", fd, null, times(entry.mtime), 0);
    this.#file = undefined;
    close(fd);
  }

  /** All entries were there. */
  finish(): void {
    this.#leave("");
    if (this.#firstDevice === undefined) return;
    const shown = this.#options.shown(textOf(this.#firstDevice));
    const more = this.#devices === 1 ? "" : ` and ${this.#devices - 1} more`;
    this.#options.warn(`devices are not copied: ${shown}${more}`);
  }

  /** Lets go of all; a file that is not whole is removed. */
  close(): void {
    if (this.#file !== undefined) {
      const { fd, directory, name } = this.#file;
      close(fd);
      trySyscall("unlinkat", directory, name, 0);
      this.#file = undefined;
    }
    if (this.#parent !== undefined) close(this.#parent.fd);
    this.#parent = undefined;
  }

  /** Sets the times of directories that nothing more comes into. */
  #leave(path: ByteString): void {
    for (let last = this.#timed.at(-1); last !== undefined; last = this.#timed.at(-1)) {
      if (path === last.path || path.startsWith(`${last.path}/`)) return;
      this.#timed.pop();
      const fd = this.#options.open(last.path);
      // Who has moved it meanwhile has it with another time.
      if (fd < 0) continue;
      trySyscall("utimensat", fd, null, times(last.mtime), 0);
      close(fd);
    }
  }

  /** The directory of these names, made where an archive has left it out. */
  #directory(names: readonly ByteString[]): number {
    const path = names.join("/");
    if (this.#parent?.path === path) return this.#parent.fd;
    let fd = this.#options.open(path);
    if (fd === -ENOENT && names.length > 0) {
      const above = this.#directory(names.slice(0, -1));
      const made = trySyscall("mkdirat", above, bytesOf(names.at(-1)!, 1), 0o755);
      if (made < 0 && made !== -EEXIST) throw this.#failure(path, -made);
      fd = this.#options.open(path);
    }
    if (fd === -ELOOP || fd === -ENOTDIR) {
      const what = `${
        this.#options.shown(textOf(path))
      } is not a directory, and something goes into it`;
      throw new CrateError("INVALID", what);
    }
    if (fd < 0) throw this.#failure(path, -fd);
    if (this.#parent !== undefined) close(this.#parent.fd);
    this.#parent = { path, fd };
    return fd;
  }

  /**
   * Makes room for an entry.
   *
   * @returns whether there is nothing to do: a directory that is there.
   */
  #clear(directory: number, name: Bytes, path: ByteString, { type }: TarEntry): boolean {
    const found = trySyscall("openat", directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    if (found === -ENOENT) return false;
    if (found < 0) throw this.#failure(path, -found);
    let isDirectory: boolean;
    try {
      isDirectory = (statusOf(found).type & S_IFMT) === S_IFDIR;
    } finally {
      close(found);
    }
    const shown = this.#options.shown(textOf(path));
    if (isDirectory && type === "directory") return true;
    if (isDirectory) {
      throw new CrateError("EXISTS", `${shown} is a directory, which no file replaces`);
    }
    if (type === "directory") {
      throw new CrateError("EXISTS", `${shown} is not a directory, and one is copied there`);
    }
    // A hard link to itself is made anew, too: then nothing is left to link to, and that is told.
    const removed = trySyscall("unlinkat", directory, name, 0);
    if (removed < 0 && removed !== -ENOENT) throw this.#failure(path, -removed);
    return false;
  }

  #makeDirectory(directory: number, name: Bytes, path: ByteString, entry: TarEntry): void {
    this.#call(path, "mkdirat", directory, name, 0o700);
    const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const fd = this.#call(path, "openat", directory, name, flags, 0);
    try {
      // Somebody may have put another one there: what is not as it was made gets no other owner and no other mode.
      const { mode } = statusOf(fd);
      if ((mode & 0o777) !== 0o700) throw this.#failure(path, EEXIST);
      const owner = this.#options.owner?.(entry.uid, entry.gid);
      if (owner !== undefined) this.#call(path, "fchown", fd, owner.uid, owner.gid);
      this.#call(path, "fchmod", fd, this.#modeOf(entry));
      this.#setXattrs(fd, entry);
    } finally {
      close(fd);
    }
    this.#timed.push({ path, mtime: entry.mtime });
  }

  #makeFile(directory: number, name: Bytes, path: ByteString, entry: TarEntry): void {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const fd = this.#call(path, "openat", directory, name, flags, 0o600);
    this.#file = { fd, directory, name, entry: { ...entry, path }, end: 0 };
  }

  #link(directory: number, name: Bytes, path: ByteString, entry: TarEntry): void {
    const names = splitPath(entry.linkPath);
    const target = typeof names === "string" ? undefined : names.pop();
    if (typeof names === "string" || target === undefined) {
      throw invalid(entry.path, "is a hard link to nothing that has a name here");
    }
    const from = this.#options.open(names.join("/"));
    if (from < 0) throw this.#failure(entry.linkPath, -from);
    try {
      this.#call(path, "linkat", from, bytesOf(target, 1), directory, name, 0);
    } finally {
      close(from);
    }
  }

  /** A symbolic link or a fifo. */
  #makeOther(directory: number, name: Bytes, path: ByteString, entry: TarEntry): void {
    if (entry.type === "symlink") {
      this.#call(path, "symlinkat", bytesOf(entry.linkPath, 1), directory, name);
    } else {
      this.#call(path, "mknodat", directory, name, S_IFIFO | (entry.mode & 0o777), 0);
    }
    const made = this.#call(path, "openat", directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    try {
      const owner = this.#options.owner?.(entry.uid, entry.gid);
      const kind = entry.type === "symlink" ? 0o120000 : S_IFIFO;
      if (statusOf(made).type !== kind) throw this.#failure(path, EEXIST);
      if (owner === undefined) return;
      this.#call(path, "fchownat", made, "", owner.uid, owner.gid, AT_EMPTY_PATH);
    } finally {
      close(made);
    }
    trySyscall("utimensat", directory, name, times(entry.mtime), AT_SYMLINK_NOFOLLOW);
  }

  /** Set-id bits belong to an owner: they come only where he comes, too. */
  #modeOf({ type, mode }: TarEntry): number {
    if (this.#options.archive) return mode;
    return mode & (type === "directory" ? 0o1777 : 0o777);
  }

  #setXattrs(fd: number, { path, xattrs }: TarEntry): void {
    for (const [name, value] of xattrs) {
      if (!isKept(name) || !this.#options.archive && name === "security.capability") continue;
      const result = trySyscall("fsetxattr", fd, bytesOf(name, 1), value, value.length, 0);
      if (result < 0 && result !== -EOPNOTSUPP && result !== -EPERM) {
        throw this.#failure(path, -result);
      }
    }
  }

  #call(path: ByteString, name: SyscallName, ...args: SyscallArgument[]): number {
    const result = trySyscall(name, ...args);
    if (result < 0) throw this.#failure(path, -result);
    return result;
  }

  #failure(path: ByteString, errno: number): CrateError {
    const shown = this.#options.shown(textOf(path));
    switch (errno) {
      case EROFS:
        return new CrateError("PERMISSION", `${shown} cannot be written: it is mounted read-only`);
      case ENOSPC:
      case EDQUOT:
        return new CrateError("FAILED", `${shown}: no space left on the device`);
      case EBUSY:
        return new CrateError("STATE", `${shown} is mounted there, and cannot be replaced`);
      case EEXIST:
        return new CrateError("STATE", `${shown} was made by somebody else meanwhile`);
      default: {
        const denied = errno === EPERM || errno === EACCES;
        return new CrateError(
          denied ? "PERMISSION" : "FAILED",
          `${shown} cannot be written: ${errnoName(errno)}`,
        );
      }
    }
  }
}

function invalid(path: ByteString, what: string): CrateError {
  return new CrateError("INVALID", `entry ${quoted(path)} ${what}`);
}

/** struct timespec, twice: last access and last change. */
function times({ seconds, nanoseconds }: TarTime): Bytes {
  const one = [BigInt(seconds), BigInt(nanoseconds)];
  return new Uint8Array(new BigInt64Array([...one, ...one]).buffer);
}
