import {
  close,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  S_IFDIR,
  S_IFREG,
  syscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { type ByteString, byteString, byteStringOf, textOf } from "../tar/mod.ts";
import { statusOf } from "../unpack/mod.ts";
import type { Place } from "./place.ts";

// Which name a copy gets, by docker's rules: https://docs.docker.com/reference/cli/docker/container/cp/

const S_IFLNK = 0o120000;
/** What path_resolution(7) follows. */
const MAX_LINKS = 40;

/** What is copied. */
export interface Source {
  /** `O_PATH` */
  readonly fd: number;
  readonly isDirectory: boolean;
  /** What it is called, for a directory that it is copied into. */
  readonly name: ByteString;
  /** A directory of which all that is in it is copied, and not itself. */
  readonly contents: boolean;
}

/** Where it goes. */
export interface Target {
  /** The directory that it goes into, open. */
  readonly fd: number;
  /** The same as a path of its place. */
  readonly path: string;
  /** What it is called there; undefined: what is in it goes there. */
  readonly name?: ByteString;
}

/** Finds what is copied. The descriptor is the caller's to close. @throws {CrateError} `NOT_FOUND` */
export function findSource(place: Place, path: string, follow: boolean): Source {
  const fd = place.find(path, follow);
  if (fd === undefined) throw place.nothing(path, "file or directory");
  const isDirectory = statusOf(fd).type === S_IFDIR;
  const name = lastOf(path);
  const contents = isDirectory && (name === undefined || /(^|\/)\.\/*$/.test(path));
  return { fd, isDirectory, name: byteStringOf(name ?? "."), contents };
}

/** The last name of a path; undefined for the root and for `..`, which have none of their own. */
function lastOf(path: string): string | undefined {
  const name = path.split("/").filter((part) => part !== "" && part !== ".").at(-1);
  return name === ".." ? undefined : name;
}

/** Finds where something goes. The descriptor is the caller's to close. @throws {CrateError} */
export function findTarget(place: Place, path: string, source: Source): Target {
  const found = place.find(path, true);
  if (found !== undefined) {
    try {
      if (statusOf(found).type === S_IFDIR) {
        const fd = syscall("openat", found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        return { fd, path, ...!source.contents && { name: source.name } };
      }
    } finally {
      close(found);
    }
  } else if (!source.isDirectory && /(^|\/)\.?$/.test(path)) {
    throw place.nothing(path, "directory");
  }
  const end = endOf(place, path.replace(/(\/\.?)+$/, ""), source);
  const slash = end.lastIndexOf("/");
  const directory = slash < 0 ? "." : end.slice(0, slash + 1);
  const name = end.slice(slash + 1);
  const fd = name === "" || name === "." || name === ".." ? undefined : place.directory(directory);
  if (fd === undefined) throw place.nothing(directory, "directory");
  return { fd, path: directory, name: byteStringOf(name) };
}

/** Where the links at the end of a path lead: to a file that is replaced, or to a name that is free. */
function endOf(place: Place, path: string, { isDirectory }: Source): string {
  let at = path;
  for (let links = 0; links < MAX_LINKS; links++) {
    const fd = place.find(at, false);
    if (fd === undefined) return at;
    try {
      const { type } = statusOf(fd);
      if (type === S_IFLNK) {
        const buffer = new Uint8Array(4096);
        const length = syscall("readlinkat", fd, "", buffer, buffer.length);
        const target = textOf(byteString(buffer, 0, length));
        at = target.startsWith("/") ? target : at.slice(0, at.lastIndexOf("/") + 1) + target;
        continue;
      }
      if (type !== S_IFREG) {
        throw new CrateError(
          "INVALID",
          `${place.shown(path)} is neither a directory nor a regular file: nothing is copied there`,
        );
      }
    } finally {
      close(fd);
    }
    if (!isDirectory) return at;
    throw new CrateError("INVALID", `${place.shown(path)} is a file, and a directory is copied`);
  }
  throw new CrateError("INVALID", `${place.shown(path)} leads through too many links`);
}
