import { AT_FDCWD, decodeText, trySyscall } from "../../ffi/mod.ts";

/** What a link of /proc says; nothing when it is not there. proc(5) */
export function readLink(path: string): string {
  const bytes = new Uint8Array(256);
  const length = trySyscall("readlinkat", AT_FDCWD, path, bytes, bytes.length);
  return length < 0 ? "" : decodeText(bytes.subarray(0, length));
}
