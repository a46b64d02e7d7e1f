/**
 * Bytes as a string, one character (U+0000 to U+00FF) for each byte.
 *
 * Names in an archive are bytes: most are UTF-8, none has to be. A string of bytes keeps any of them, is a
 * key of a `Map`, and is cut and compared as quickly as any string; for ASCII it is the name itself. It
 * is never printed or given to a system call as it is: {@linkcode bytesOf} makes the bytes of it
 * (a string argument of a system call would be encoded as UTF-8), {@linkcode textOf} the words for a person.
 */
export type ByteString = string;

const PART = 4096;

/** The string of `bytes[start..end]`. */
export function byteString(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): ByteString {
  if (end - start <= PART) {
    return String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[]);
  }
  let text = "";
  for (let at = start; at < end; at += PART) {
    text += byteString(bytes, at, Math.min(at + PART, end));
  }
  return text;
}

/**
 * The bytes of a byte string, with `after` zero bytes behind them (1 makes a C string).
 *
 * @example
 * ```ts
 * import { bytesOf, byteStringOf, textOf } from "./bytes.ts";
 * const name = byteStringOf("é");
 * if (name.length !== 2 || bytesOf(name, 1).join() !== "195,169,0") throw new Error();
 * if (textOf(name) !== "é") throw new Error();
 * ```
 */
export function bytesOf(name: ByteString, after = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(name.length + after);
  for (let i = 0; i < name.length; i++) bytes[i] = name.charCodeAt(i);
  return bytes;
}

/** The byte string of a text's UTF-8. */
export function byteStringOf(text: string): ByteString {
  return isAscii(text) ? text : byteString(new TextEncoder().encode(text));
}

/** A byte string as text; what is not UTF-8 becomes U+FFFD. For messages. */
export function textOf(name: ByteString): string {
  return isAscii(name) ? name : new TextDecoder().decode(bytesOf(name));
}

/** A name as a message shows it: in quotes, control characters escaped, not too long. */
export function quoted(name: ByteString): string {
  return JSON.stringify(textOf(name.length > 300 ? `${name.slice(0, 300)}...` : name));
}

/** Whether all of it is ASCII, and so the same as text and as bytes. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}
