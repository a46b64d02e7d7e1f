import { syscall } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { quote } from "../names/mod.ts";
import { type TarEntry, TarReader, textOf } from "../tar/mod.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const CHUNK = 1 << 18;
/** More members than an archive of images has, and bytes of a path there: all are kept in memory. */
const MAX_MEMBERS = 20_000;
const MAX_PATH = 4096;
/** Links to links, as old docker wrote them for layers that are the same. */
const MAX_LINKS = 10;

/** The files of an archive of images, by their names in it. */
export interface ArchiveFiles {
  /** For messages. */
  readonly name: string;
  has(path: string): boolean;
  /** Bytes. @throws {CrateError} `INVALID` when it is not there. */
  size(path: string): number;
  /** All of a short file. @throws {CrateError} `INVALID`: not there, or of more than `max` bytes. */
  read(path: string, max: number): Bytes;
  /** A file from an offset on. @throws {CrateError} `INVALID` when it is not there. */
  stream(
    path: string,
    options?: { readonly offset?: number; readonly signal?: AbortSignal },
  ): ReadableStream<Bytes>;
}

interface Member {
  readonly offset: number;
  readonly size: number;
}

/**
 * The files of a tar archive that lies in a file. Its headers are read, its content is passed over.
 *
 * @param fd a regular file, which stays the caller's.
 * @throws {CrateError} `INVALID`
 */
export function tarFiles(fd: number, name: string): ArchiveFiles {
  const { members, links } = readMembers(fd);
  const find = (path: string): Member | undefined => {
    let at = path;
    for (let i = 0; i < MAX_LINKS; i++) {
      const member = members.get(at);
      if (member !== undefined) return member;
      const next = links.get(at);
      if (next === undefined) return undefined;
      at = next;
    }
  };
  const need = (path: string): Member => {
    const member = find(path);
    if (member !== undefined) return member;
    throw new CrateError("INVALID", `${name} has no file ${quote(path)}`);
  };
  return {
    name,
    has: (path) => find(path) !== undefined,
    size: (path) => need(path).size,
    read(path, max) {
      const { offset, size } = need(path);
      if (size > max) {
        throw new CrateError("INVALID", `${name}: ${quote(path)} has more than ${max} bytes`);
      }
      const bytes = new Uint8Array(size);
      for (let at = 0; at < size;) at += pread(fd, bytes.subarray(at), offset + at, name);
      return bytes;
    },
    stream(path, { offset: from = 0, signal } = {}) {
      const { offset, size } = need(path);
      let at = from;
      return new ReadableStream({
        pull(controller) {
          signal?.throwIfAborted();
          if (at >= size) return controller.close();
          const chunk = new Uint8Array(Math.min(CHUNK, size - at));
          const count = pread(fd, chunk, offset + at, name);
          at += count;
          controller.enqueue(chunk.subarray(0, count));
        },
      }, { highWaterMark: 0 });
    },
  };
}

/** At least one byte. @throws {CrateError} */
function pread(fd: number, bytes: Bytes, at: number, name: string): number {
  const count = syscall("pread64", fd, bytes, bytes.length, at);
  if (count === 0) throw new CrateError("INVALID", `${name} ends too early`);
  return count;
}

/** Members are files; links are what leads to others, by their paths in the archive. */
function readMembers(fd: number): { members: Map<string, Member>; links: Map<string, string> } {
  const members = new Map<string, Member>();
  const links = new Map<string, string>();
  const reader: TarReader = new TarReader({
    entry(entry) {
      const path = pathOf(entry);
      // Of two with one name the last counts, as for tar.
      members.delete(path);
      links.delete(path);
      if (entry.type === "file") members.set(path, { offset: reader.position, size: entry.size });
      else if (entry.type === "hardlink") links.set(path, plainPath(textOf(entry.linkPath)));
      else if (entry.type === "symlink") links.set(path, targetOf(path, textOf(entry.linkPath)));
    },
    data() {},
    end() {},
  }, { entries: MAX_MEMBERS, path: MAX_PATH });
  const chunk = new Uint8Array(CHUNK);
  for (let at = 0; !reader.ended;) {
    const count = syscall("pread64", fd, chunk, chunk.length, at);
    if (count === 0) break;
    reader.push(chunk.subarray(0, count));
    at += count + reader.skip();
  }
  reader.finish();
  return { members, links };
}

const pathOf = ({ path }: TarEntry) => plainPath(textOf(path));

/** `./a//b/../c` is `a/c`. What leads out leads to the top. */
function plainPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function targetOf(path: string, target: string): string {
  if (target.startsWith("/")) return plainPath(target);
  return plainPath(`${path.slice(0, path.lastIndexOf("/") + 1)}${target}`);
}
