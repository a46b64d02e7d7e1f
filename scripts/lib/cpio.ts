/** A file of an archive: its bytes, or where a symbolic link points. */
export interface CpioEntry {
  readonly path: string;
  readonly content: Uint8Array | string;
  readonly link?: boolean;
}

/**
 * An initramfs: a "newc" cpio archive, in which every file may be executed
 * (Documentation/driver-api/early-userspace/buffer-format.rst in Linux).
 *
 * @param directories made first, in this order
 *
 * @example
 * ```ts
 * import { cpio } from "./cpio.ts";
 * const archive = cpio(["bin"], [{ path: "init", content: "#!/bin/sh\n" }]);
 * if (archive.length % 4 !== 0) throw new Error("an archive is padded to four bytes");
 * ```
 */
export function cpio(
  directories: readonly string[],
  entries: readonly CpioEntry[],
): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  const add = (path: string, mode: number, content: Uint8Array) => {
    const name = encoder.encode(`${path}\0`);
    const inode = parts.length + 1;
    // ino mode uid gid nlink mtime size devmajor devminor rdevmajor rdevminor namesize check
    const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
    const hex = fields.map((field) => field.toString(16).padStart(8, "0")).join("");
    parts.push(padded(encoder.encode(`070701${hex}`), name), padded(content));
  };
  for (const path of directories) add(path, 0o040755, new Uint8Array());
  for (const { path, content, link } of entries) {
    const bytes = typeof content === "string" ? encoder.encode(content) : content;
    add(path, link ? 0o120777 : 0o100755, bytes);
  }
  add("TRAILER!!!", 0, new Uint8Array());
  return padded(...parts);
}

/** The parts in a row, with zeros up to a multiple of four bytes. */
function padded(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array((length + 3) & ~3);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
