import {
  AT_SYMLINK_NOFOLLOW,
  type CallBatch,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  syscall,
} from "../../../ffi/mod.ts";
import { type ByteString, quoted, type TarEntry, type TarHandler } from "../tar/mod.ts";
import { Directories, type Directory, pathIn, within } from "./directories.ts";
import {
  attempt,
  type Attributes,
  DATA,
  deviceNumber,
  IMPLICIT,
  invalid,
  STEPS,
  umask,
  xattrRoom,
} from "./entry_calls.ts";
import { decide, type Subject } from "./failure.ts";
import { requireUnseen, tooLate } from "./marks.ts";
import { finishLayer } from "./finish.ts";
import type { UnpackLimits } from "./limits.ts";
import { Lowers, statusOf } from "./lowers.ts";
import { splitPath } from "./path.ts";
import { CallQueue } from "./queue.ts";
import { resolveDirectory } from "./resolve.ts";
import { removeTree } from "./remove.ts";
import { isKept, opaqueMark, type OverlayXattrs } from "./xattrs.ts";

const WHITEOUT = ".wh.";
const META = ".wh..wh.";
const OPAQUE = ".wh..wh..opq";

/** A hard link whose other name this layer does not have. */
export interface PendingLink {
  readonly path: ByteString;
  readonly directory: Directory;
  readonly name: ByteString;
  readonly target: readonly ByteString[];
}

/** Writes an archive's entries into a directory as overlayfs wants a layer. */
export class LayerWriter implements TarHandler {
  readonly directories: Directories;
  readonly lowers: Lowers;
  readonly queue: CallQueue<Subject>;
  /** The entry that was read last. */
  latest: ByteString = "";
  readonly #overlay: OverlayXattrs;
  readonly #limits: Required<UnpackLimits>;
  readonly #uid = syscall("geteuid");
  readonly #gid = syscall("getegid");
  readonly #umask = umask();
  readonly #pending: PendingLink[] = [];
  /** The file whose content comes. */
  #file: { subject: Subject; entry: TarEntry; end: number } | undefined;
  #entries = 0;
  #skipped = 0;

  constructor(
    directory: string,
    lowers: readonly string[],
    overlay: OverlayXattrs,
    limits: Required<UnpackLimits>,
  ) {
    this.#overlay = overlay;
    this.#limits = limits;
    this.directories = new Directories(directory);
    try {
      this.lowers = new Lowers(lowers, overlay);
    } catch (error) {
      this.directories.close();
      throw error;
    }
    this.queue = new CallQueue((failure) => {
      const { file, other } = this.directories.results;
      const { subject } = failure;
      const made = subject.kind === "file" ? file : other;
      const decision = decide(failure, made, this.#overlay === "user");
      if (decision === "skip") this.#skipped++;
      else if (decision === "later") this.#pending.push(subject.link!);
      else return decision;
      return "leave";
    });
    this.#beginRoot();
  }

  /** Entries so far. */
  get entries(): number {
    return this.#entries;
  }

  /** Devices that a user namespace may not make. */
  get skipped(): number {
    return this.#skipped;
  }

  #beginRoot(): void {
    const [top] = this.lowers.roots;
    // What is merged shows the uppermost root's attributes.
    const attributes = top === undefined ? IMPLICIT : { ...statusOf(top), xattrs: IMPLICIT.xattrs };
    this.#setRoot(attributes);
  }

  #setRoot(attributes: Attributes): void {
    const { root } = this.directories;
    const subject: Subject = { path: ".", kind: "directory" };
    const calls = this.queue.group(subject, STEPS + attributes.xattrs.size, xattrRoom(attributes));
    const cell = this.directories.open(calls, root);
    calls.call("fchown", 1, cell, attributes.uid, attributes.gid);
    calls.call("fchmod", 1, cell, attributes.mode);
    this.#setXattrs(calls, cell, attributes);
    root.isSetGid = (attributes.mode & 0o2000) !== 0;
    root.mtime = attributes.mtime;
  }

  entry(entry: TarEntry): void {
    this.latest = entry.path;
    if (++this.#entries > this.#limits.entries) {
      throw invalid(entry.path, `is one more than the ${this.#limits.entries} entries allowed`);
    }
    const names = splitPath(entry.path);
    if (typeof names === "string") throw invalid(entry.path, names);
    if (names.length > this.#limits.depth) {
      throw invalid(entry.path, `lies deeper than ${this.#limits.depth} directories`);
    }
    const name = names.pop();
    if (name === undefined) {
      if (entry.type !== "directory") throw invalid(entry.path, "would replace the layer's root");
      this.#setRoot(entry);
      return;
    }
    if (name.startsWith(WHITEOUT)) {
      this.#whiteout(entry, names, name);
      return;
    }
    // What aufs kept for itself.
    if (names.some((part) => part.startsWith(META))) return;
    const directory = this.#parent(entry.path, names);
    if (entry.type === "directory") {
      const existing = this.directories.get(pathIn(directory, name));
      this.makeDirectory(directory, name, entry, existing);
    } else if (entry.type === "hardlink") this.#hardLink(entry, directory, name);
    else this.#make(entry, directory, name);
    this.queue.submitWhenFull();
  }

  data(chunk: Uint8Array<ArrayBuffer>, offset: number): void {
    const file = this.#file;
    if (file === undefined) return;
    const calls = this.queue.group(file.subject, 4, 4200);
    const { fileCell, resultCell } = this.directories;
    calls.call("pwrite64", 1, fileCell, calls.bytes(chunk), chunk.length, offset);
    calls.result(resultCell);
    calls.expect(resultCell, chunk.length);
    file.end = offset + chunk.length;
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    const { entry, subject } = file;
    const calls = this.queue.group(subject, STEPS + entry.xattrs.size, xattrRoom(entry));
    const cell = this.directories.fileCell;
    if (file.end < entry.size) calls.call("ftruncate", 1, cell, entry.size);
    if (subject.chown) calls.call("fchown", 1, cell, entry.uid, entry.gid);
    if ((entry.mode & 0o7000) !== 0 || (entry.mode & this.#umask) !== 0) {
      calls.call("fchmod", 1, cell, entry.mode);
    }
    this.#setXattrs(calls, cell, entry);
    const { seconds, nanoseconds } = entry.mtime;
    calls.call("utimensat", 1, cell, 0, calls.times(seconds, nanoseconds), 0);
    calls.call("close", 1, cell);
    calls.set(cell, -1);
    this.queue.submitWhenFull();
  }

  #setXattrs(calls: CallBatch, cell: number, { xattrs }: Attributes): void {
    for (const [name, value] of xattrs) {
      if (!isKept(name)) continue;
      calls.call("fsetxattr", 1, cell, calls.string(name), calls.bytes(value), value.length, 0);
    }
  }

  #needsChown(directory: Directory, { uid, gid }: Attributes): boolean {
    return uid !== this.#uid || gid !== this.#gid || directory.isSetGid;
  }

  /** Clears what the layer has there already. */
  #replace(path: ByteString, directory: Directory, name: ByteString): void {
    const existing = this.directories.get(path);
    if (existing === undefined) return;
    this.opened(directory);
    this.directories.remove(existing);
    removeTree(this.directories.fd(directory), name);
  }

  /** A file, link, device or fifo. */
  #make(entry: TarEntry, directory: Directory, name: ByteString): void {
    const path = pathIn(directory, name);
    this.#replace(path, directory, name);
    const { type, mode } = entry;
    const chown = this.#needsChown(directory, entry);
    if (type === "file") {
      const subject: Subject = { path: entry.path, kind: "file", chown };
      const calls = this.queue.group(subject, STEPS, DATA);
      const at = this.directories.open(calls, directory);
      const where = calls.string(name);
      const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
      attempt(calls, at, where, () => {
        calls.call("openat", 1, at, where, flags, mode & 0o777);
        calls.result(this.directories.fileCell);
      });
      this.#file = { subject, entry, end: 0 };
      return;
    }
    const subject: Subject = { path: entry.path, kind: type };
    const calls = this.queue.group(subject, STEPS, DATA);
    const at = this.directories.open(calls, directory);
    const where = calls.string(name);
    const { resultCell } = this.directories;
    if (type === "symlink") {
      if (entry.linkPath.length > 4095) {
        throw invalid(entry.path, "leads to a path that is too long");
      }
      const target = calls.string(entry.linkPath);
      attempt(calls, at, where, () => {
        calls.call("symlinkat", 2, target, at, where);
        calls.result(resultCell);
      });
    } else {
      const kind = type === "fifo" ? S_IFIFO : type === "block" ? S_IFBLK : S_IFCHR;
      const device = deviceNumber(entry.major, entry.minor);
      attempt(calls, at, where, () => {
        calls.call("mknodat", 1, at, where, kind | (mode & 0o777), device);
        calls.result(resultCell);
      });
    }
    if (chown) {
      calls.call("fchownat", 1, at, where, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW);
    }
    if (type !== "symlink") calls.call("fchmodat", 1, at, where, mode);
    const times = calls.times(entry.mtime.seconds, entry.mtime.nanoseconds);
    calls.call("utimensat", 1, at, where, times, AT_SYMLINK_NOFOLLOW);
  }

  /** A directory, made or given other attributes. */
  makeDirectory(
    parent: Directory,
    name: ByteString,
    attributes: Attributes,
    existing?: Directory,
    path = pathIn(parent, name),
  ): Directory {
    const directory = existing ?? this.directories.add(parent, name);
    const subject: Subject = { path, kind: "directory" };
    const { mode, uid, gid, xattrs, mtime } = attributes;
    const isMarked = existing === undefined && parent.whiteouts.has(name);
    const room = DATA + xattrRoom(attributes);
    const calls = this.queue.group(subject, STEPS + xattrs.size, room);
    const at = this.directories.open(calls, parent);
    const where = calls.string(name);
    if (existing === undefined) {
      attempt(calls, at, where, () => {
        calls.call("mkdirat", 1, at, where, mode & 0o777);
        calls.result(this.directories.resultCell);
      });
    }
    if (existing !== undefined || this.#needsChown(parent, attributes)) {
      calls.call("fchownat", 1, at, where, uid, gid, AT_SYMLINK_NOFOLLOW);
    }
    const inherits = parent.isSetGid || (mode & 0o7000) !== 0 || (mode & this.#umask) !== 0;
    if (existing !== undefined || inherits) calls.call("fchmodat", 1, at, where, mode);
    if (xattrs.size > 0) {
      this.#setXattrs(calls, this.directories.open(calls, directory), attributes);
    }
    directory.isSetGid = (mode & 0o2000) !== 0;
    directory.mtime = mtime;
    if (isMarked) this.markOpaque(directory);
    return directory;
  }

  #hardLink(entry: TarEntry, directory: Directory, name: ByteString): void {
    const path = pathIn(directory, name);
    const target = splitPath(entry.linkPath);
    if (typeof target === "string") throw invalid(entry.path, `is a hard link that ${target}`);
    const targetName = target.at(-1);
    if (targetName === undefined) throw invalid(entry.path, "is a hard link to the root");
    const link: PendingLink = { path: entry.path, directory, name, target };
    const targetDirectory = this.resolve(entry.path, target.slice(0, -1), false);
    if (targetDirectory !== undefined) {
      const targetPath = pathIn(targetDirectory, targetName);
      // A name is a link to itself.
      if (targetPath === path) return;
      if (this.directories.get(targetPath) !== undefined) {
        throw invalid(entry.path, `is a hard link to a directory, ${quoted(targetPath)}`);
      }
    }
    this.#replace(path, directory, name);
    if (targetDirectory === undefined) {
      this.#pending.push(link);
      return;
    }
    const subject: Subject = { path: entry.path, kind: "hardlink", link };
    const calls = this.queue.group(subject, STEPS, DATA);
    const from = this.directories.open(calls, targetDirectory);
    const to = this.directories.open(calls, directory);
    const source = calls.string(targetName);
    const where = calls.string(name);
    attempt(calls, to, where, () => {
      calls.call("linkat", 1 | 4, from, source, to, where, 0);
      calls.result(this.directories.resultCell);
    });
  }

  #whiteout(entry: TarEntry, names: readonly ByteString[], name: ByteString): void {
    if (name === OPAQUE) {
      const directory = this.#parent(entry.path, names);
      requireUnseen(entry.path, directory);
      this.markOpaque(directory);
      return;
    }
    if (name.startsWith(META) || names.some((part) => part.startsWith(META))) return;
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..") {
      throw invalid(entry.path, "is a whiteout of no name");
    }
    const directory = this.#parent(entry.path, names);
    if (directory.followed.has(hidden)) throw tooLate(entry.path);
    directory.whiteouts.add(hidden);
    const existing = this.directories.get(pathIn(directory, hidden));
    // It takes away what is below, never what the layer itself has: image-spec, layer.md, "Whiteouts".
    if (existing !== undefined) {
      requireUnseen(entry.path, existing);
      this.markOpaque(existing);
    } else this.makeWhiteout(directory, hidden, entry.path);
  }

  /** Hides a name of the layers below, unless this one has it. */
  makeWhiteout(directory: Directory, name: ByteString, path: ByteString): void {
    const calls = this.queue.group({ path, kind: "whiteout" }, STEPS, DATA);
    const at = this.directories.open(calls, directory);
    calls.call("mknodat", 1, at, calls.string(name), S_IFCHR, 0);
  }

  /** Hides what the layers below have in a directory. */
  markOpaque(directory: Directory): void {
    for (const inner of within(directory)) inner.isOpaque = true;
    if (directory.parent === undefined) return;
    const calls = this.queue.group({ path: directory.path, kind: "opaque" }, STEPS, DATA);
    const cell = this.directories.open(calls, directory);
    const mark = calls.string(opaqueMark(this.#overlay));
    calls.call("fsetxattr", 1, cell, mark, calls.string("y"), 1, 0);
  }

  #parent(path: ByteString, names: readonly ByteString[]): Directory {
    return this.directories.get(names.join("/")) ?? this.resolve(path, names, true)!;
  }

  /** Makes a directory's descriptor be there now. */
  opened(directory: Directory): number {
    const calls = this.queue.group({ path: directory.path, kind: "directory" }, STEPS, DATA);
    this.directories.open(calls, directory);
    this.queue.settle();
    return this.directories.fd(directory);
  }

  /** See {@linkcode resolveDirectory}. */
  resolve(
    path: ByteString,
    names: readonly ByteString[],
    create: boolean,
  ): Directory | undefined {
    return resolveDirectory(this, path, names, create);
  }

  /** What can only be done when all entries are there. Throws what any call has met. */
  async finish(): Promise<void> {
    await finishLayer(this, this.#pending);
  }

  /** Ends it, whatever is still on its way. */
  async close(): Promise<void> {
    await this.queue.stop();
    this.directories.close();
    this.lowers.close();
  }
}
