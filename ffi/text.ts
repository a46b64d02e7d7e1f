// Text and bytes. The runtime's coders are made when they are needed, because they take 0.06 ms to
// begin, the decoder 0.2 ms, of a process that lives for ten.

let encoder: TextEncoder | undefined;
let decoder: TextDecoder | undefined;

/** What is longer the decoder reads faster, in spite of its beginning; so many arguments a call can have anyhow. */
const SHORT = 16384;

/** A text as UTF-8. */
export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  return (encoder ??= new TextEncoder()).encode(text);
}

/** Writes a text as UTF-8 to the beginning of `bytes`, and returns how many bytes it takes. */
export function encodeInto(text: string, bytes: Uint8Array): number {
  return (encoder ??= new TextEncoder()).encodeInto(text, bytes).written;
}

/**
 * The text of UTF-8; what is none becomes U+FFFD.
 *
 * @example
 * ```ts
 * import { decodeText, encodeText } from "./text.ts";
 * if (decodeText(encodeText("cgroup µ")) !== "cgroup µ") throw new Error();
 * ```
 */
export function decodeText(bytes: Uint8Array): string {
  if (bytes.length <= SHORT && isAscii(bytes)) {
    return Reflect.apply(String.fromCharCode, null, bytes);
  }
  return (decoder ??= new TextDecoder()).decode(bytes);
}

function isAscii(bytes: Uint8Array): boolean {
  const { buffer, byteOffset, length } = bytes;
  let i = 0;
  // Four at a time, as this runs in V8's interpreter.
  if (byteOffset % 4 === 0) {
    const words = new Int32Array(buffer, byteOffset, length >> 2);
    let all = 0;
    for (let at = 0; at < words.length; at++) all |= words[at]!;
    if ((all & 0x80808080) !== 0) return false;
    i = words.length * 4;
  }
  for (; i < length; i++) if (bytes[i]! > 127) return false;
  return true;
}
