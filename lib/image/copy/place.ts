import {
  AT_FDCWD,
  close,
  EAGAIN,
  ELOOP,
  ENOENT,
  ENOTDIR,
  errnoName,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  open_how,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  trySyscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { bytesOf, byteStringOf } from "../tar/mod.ts";
import { isKernels } from "./kernel_files.ts";

/** How often a path is resolved again that somebody renames `..` in meanwhile, openat2(2). */
const ATTEMPTS = 16;

/** Where paths begin. */
export interface PlaceOptions {
  /** What stands before a path in a message: `web:`; empty for this host's. */
  readonly label: string;
  /** A descriptor of the directory that counts as `/`; undefined: paths are this process's own. */
  readonly root?: number;
  /** Why what a descriptor leads to is not to be had, as the end of a sentence. */
  readonly missing?: (fd: number) => string | undefined;
}

/**
 * One side of a copy, where paths are looked up by the kernel: of a container in its root, which neither a link nor `..` nor
 * whoever renames things meanwhile leads out of. What was looked up is held by its descriptor.
 */
export class Place {
  readonly label: string;
  readonly #root: number | undefined;
  readonly #missing: (fd: number) => string | undefined;

  constructor({ label, root, missing = () => undefined }: PlaceOptions) {
    this.label = label;
    this.#root = root;
    this.#missing = missing;
  }

  /** A path as a message shows it. */
  shown(path: string): string {
    return `${this.label}${path}`;
  }

  /**
   * Why nobody copies from or to a filesystem, as the end of a sentence; undefined: he may.
   *
   * @param fd of something on it.
   */
  refusal(fd: number): string | undefined {
    if (isKernels(fd)) return "is the kernel's own, which is not copied";
    return this.#missing(fd);
  }

  /** @throws {CrateError} `UNSUPPORTED` for what is not copied; the descriptor is closed then. */
  require(fd: number, path: string): number {
    const why = this.refusal(fd);
    if (why === undefined) return fd;
    close(fd);
    throw new CrateError("UNSUPPORTED", `${this.shown(path)} ${why}`);
  }

  /** Opens what is at a path. @returns a descriptor, or the negative number of the error. */
  tryOpen(path: string, flags: number): number {
    const name = bytesOf(byteStringOf(path === "" ? "." : path), 1);
    if (this.#root === undefined) {
      return trySyscall("openat", AT_FDCWD, name, flags | O_CLOEXEC, 0);
    }
    const how = open_how.pack({
      flags: flags | O_CLOEXEC,
      resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    });
    for (let attempt = 1;; attempt++) {
      const result = trySyscall("openat2", this.#root, name, how, how.length);
      if (result !== -EAGAIN || attempt === ATTEMPTS) return result;
    }
  }

  /**
   * Finds what is at a path, without opening it.
   *
   * @param follow whether a link at the end of the path is followed; one before a slash always is.
   * @returns an `O_PATH` descriptor, the caller's to close; undefined when nothing is there.
   * @throws {CrateError} `UNSUPPORTED` for what is not copied.
   */
  find(path: string, follow: boolean): number | undefined {
    const result = this.tryOpen(path, follow ? O_PATH : O_PATH | O_NOFOLLOW);
    if (result >= 0) return this.require(result, path);
    if (result === -ENOENT || result === -ENOTDIR) return undefined;
    throw this.#failure(path, result);
  }

  /** Opens a directory. @returns undefined when there is none. @throws {CrateError} */
  directory(path: string): number | undefined {
    const result = this.tryOpen(path, O_RDONLY | O_DIRECTORY);
    if (result >= 0) return this.require(result, path);
    if (result === -ENOENT || result === -ENOTDIR) return undefined;
    throw this.#failure(path, result);
  }

  /**
   * The refusal of a path at which nothing is.
   *
   * @param what should be there.
   * @throws {CrateError} `UNSUPPORTED` when that is so because what is above it is not to be had.
   */
  nothing(path: string, what: string): CrateError {
    for (let above = path; above.includes("/");) {
      above = above.slice(0, above.lastIndexOf("/"));
      const fd = this.find(above === "" ? "/" : above, true);
      if (fd === undefined) continue;
      close(fd);
      break;
    }
    return new CrateError("NOT_FOUND", `${this.shown(path)}: there is no such ${what}`);
  }

  #failure(path: string, result: number): CrateError {
    const why = result === -ELOOP
      ? "leads through links in a circle, or through /proc's"
      : `cannot be looked up: ${errnoName(-result)}`;
    return new CrateError("INVALID", `${this.shown(path)} ${why}`);
  }
}
