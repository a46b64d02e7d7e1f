import { createHash } from "node:crypto";
import {
  AT_FDCWD,
  close,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  syscall,
  trySyscall,
} from "../../ffi/mod.ts";
import { lstatSync, readlinkSync } from "node:fs";
import { Buffer } from "node:buffer";

// A tree of files, a line for each, so that two trees can be compared as text. What of a name is not
// printable ASCII is shown as \xHH. Names must be UTF-8: Deno's lstat takes no others.

const [S_IFMT, S_IFDIR, S_IFREG, S_IFLNK] = [0o170000, 0o040000, 0o100000, 0o120000];
const TYPES: Record<number, string> = {
  0o010000: "fifo",
  0o020000: "character",
  [S_IFDIR]: "directory",
  0o060000: "block",
  [S_IFREG]: "file",
  [S_IFLNK]: "link",
  0o140000: "socket",
};

/** Which of a tree's properties are no matter. */
export interface TreeOptions {
  /** Extended attributes whose names begin so are not listed: `trusted.overlay.`. */
  readonly ignoredAttributes?: readonly string[];
}

function show(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return text;
}

function join(directory: Uint8Array, name: Uint8Array): Uint8Array {
  const whole = new Uint8Array(directory.length + 1 + name.length);
  whole.set(directory);
  whole[directory.length] = 0x2f;
  whole.set(name, directory.length + 1);
  return whole;
}

/** A path for a system call. */
function terminated(path: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(path.length + 1);
  bytes.set(path);
  return bytes;
}

const scratch = new Uint8Array(1 << 18);

/** The names in an open directory, by their bytes. */
function namesIn(fd: number): Uint8Array[] {
  const names: Uint8Array[] = [];
  const view = new DataView(scratch.buffer);
  for (;;) {
    const count = syscall("getdents64", fd, scratch, scratch.length);
    if (count === 0) return names.sort(Buffer.compare);
    // struct linux_dirent64, getdents(2): length at 16, the NUL-terminated name at 19
    for (let at = 0; at < count; at += view.getUint16(at + 16, true)) {
      const name = scratch.slice(at + 19, scratch.indexOf(0, at + 19));
      if (!/^\.\.?$/.test(show(name))) names.push(name);
    }
  }
}

function attributes(fd: number, ignored: readonly string[]): string {
  const length = trySyscall("flistxattr", fd, scratch, scratch.length);
  if (length <= 0) return "";
  const names = new TextDecoder().decode(scratch.slice(0, length)).split("\0").filter(Boolean);
  return names.filter((name) => !ignored.some((start) => name.startsWith(start))).sort()
    .map((name) => {
      const key = terminated(new TextEncoder().encode(name));
      const size = syscall("fgetxattr", fd, key, scratch, scratch.length);
      return ` ${name}=${scratch.slice(0, size).toHex()}`;
    }).join("");
}

function hash(fd: number): string {
  const sum = createHash("sha256");
  for (;;) {
    const count = syscall("read", fd, scratch, scratch.length);
    if (count === 0) return sum.digest("hex").slice(0, 32);
    sum.update(scratch.subarray(0, count));
  }
}

/**
 * Lists all that is below a directory, sorted by the paths' bytes: type, mode, owner, size, time of the
 * last change to the nanosecond, target, device number, extended attributes (of files and directories,
 * which alone can have those of users), content, and which paths are one file.
 *
 * The directory itself is only told by mode and owner: a layer need not say more of it.
 */
export function listTree(root: string, options: TreeOptions = {}): string[] {
  const ignored = options.ignoredAttributes ?? [];
  const lines: string[] = [];
  const first = new Map<string, string>();
  const start = new TextEncoder().encode(root);
  const visit = (path: Uint8Array) => {
    const name = show(path.subarray(start.length + 1)) || ".";
    const stat = lstatSync(Buffer.from(path), { bigint: true });
    const mode = Number(stat.mode);
    const type = mode & S_IFMT;
    let line = `${name} ${TYPES[type]} ${(mode & 0o7777).toString(8)} ${stat.uid}:${stat.gid}`;
    if (name !== ".") line += ` ${stat.mtimeNs}`;
    if (type === S_IFLNK) {
      const target = readlinkSync(Buffer.from(path), { encoding: "buffer" });
      line += ` -> ${show(target)}`;
    } else if (type === S_IFREG || type === S_IFDIR) {
      const flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (type === S_IFDIR ? O_DIRECTORY : 0);
      const fd = syscall("openat", AT_FDCWD, terminated(path), flags, 0);
      try {
        const known = `${stat.dev}:${stat.ino}`;
        if (type === S_IFREG) {
          line += ` ${stat.size}`;
          const other = first.get(known);
          line += other === undefined ? ` ${hash(fd)}` : ` = ${other}`;
          if (stat.nlink > 1n && other === undefined) first.set(known, name);
        }
        line += attributes(fd, ignored);
        lines.push(line);
        if (type === S_IFDIR) namesIn(fd).forEach((below) => visit(join(path, below)));
      } finally {
        close(fd);
      }
      return;
    } else line += ` ${stat.rdev}`;
    lines.push(line);
  };
  visit(start);
  return lines;
}

/** What two lists of a tree say differently: `-` for the first's lines, `+` for the second's. */
export function compareTrees(a: readonly string[], b: readonly string[]): string[] {
  const [inA, inB] = [new Set(a), new Set(b)];
  return [
    ...a.filter((line) => !inB.has(line)).map((line) => `- ${line}`),
    ...b.filter((line) => !inA.has(line)).map((line) => `+ ${line}`),
  ].sort((x, y) => x.slice(2) < y.slice(2) ? -1 : 1);
}
