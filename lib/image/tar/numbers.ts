// The numbers of a header block: octal text, or GNU's base-256 where octal is too short.

/** 2^53 - 1: what a number keeps exactly. */
const MAX = Number.MAX_SAFE_INTEGER;

/**
 * A number field: octal digits, perhaps after spaces, ended by a space, a NUL or the field's end; or, when its
 * first bit is set, big-endian two's complement. An empty field is 0.
 *
 * @returns NaN when it is neither, or beyond 2^53.
 */
export function numberAt(bytes: Uint8Array, start: number, length: number): number {
  const first = bytes[start]!;
  if ((first & 0x80) !== 0) return base256(bytes, start, length);
  const end = start + length;
  let at = start;
  let byte = first;
  while (byte === 0x20 || byte === 0) {
    if (++at === end) return 0;
    byte = bytes[at]!;
  }
  let value = 0;
  for (;;) {
    if (byte < 0x30 || byte > 0x37) return byte === 0x20 || byte === 0 ? value : NaN;
    value = value * 8 + (byte - 0x30);
    if (++at === end) return value;
    byte = bytes[at]!;
  }
}

function base256(bytes: Uint8Array, start: number, length: number): number {
  // The second bit is the sign. A negative number is -1 minus the value of its inverted bits.
  const inverted = (bytes[start]! & 0x40) !== 0 ? 0xff : 0;
  let value = (bytes[start]! ^ inverted) & 0x7f;
  for (let at = start + 1; at < start + length; at++) {
    value = value * 256 + (bytes[at]! ^ inverted);
    if (value > MAX) return NaN;
  }
  return inverted === 0 ? value : -1 - value;
}

/** Whether a text is decimal digits of an exact number. */
export function decimal(text: string): number {
  if (!/^[0-9]{1,16}$/.test(text)) return NaN;
  const value = Number(text);
  return value <= MAX ? value : NaN;
}
