import { type ByteString, byteString, isAscii } from "./bytes.ts";
import { BLOCK } from "./entry.ts";
import { numberAt } from "./numbers.ts";

/** What a header block says by itself, tar(5). A number that is none is NaN. */
export interface Header {
  /** `typeflag`, as a byte. */
  readonly type: number;
  readonly path: ByteString;
  readonly linkPath: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly checksum: number;
  readonly major: number;
  readonly minor: number;
  /** GNU's old sparse files: the size with holes, and whether more of the map follows. */
  readonly realSize: number;
  readonly isExtended: boolean;
}

const OLD_SPARSE = 0x53;

/** Reads the block at `start`. */
export function readHeader(block: Uint8Array, start: number): Header {
  const type = block[start + 156]!;
  // `ustar` and NUL is POSIX's (and star's), `ustar` and a space is GNU's, anything else older than both.
  const isUstar = block[start + 257] === 0x75 && block[start + 258] === 0x73 &&
    block[start + 259] === 0x74 && block[start + 260] === 0x61 && block[start + 261] === 0x72;
  const isPosix = isUstar && block[start + 262] === 0;
  const name = textAt(block, start, 100);
  const prefix = !isUstar || block[start + 345] === 0 ? "" : prefixAt(block, start, isPosix);
  const isDevice = isUstar && (type === 0x33 || type === 0x34);
  return {
    type,
    path: prefix === "" ? name : `${prefix}/${name}`,
    linkPath: block[start + 157] === 0 ? "" : textAt(block, start + 157, 100),
    mode: numberAt(block, start + 100, 8),
    uid: numberAt(block, start + 108, 8),
    gid: numberAt(block, start + 116, 8),
    size: numberAt(block, start + 124, 12),
    mtime: numberAt(block, start + 136, 12),
    checksum: numberAt(block, start + 148, 8),
    major: isDevice ? numberAt(block, start + 329, 8) : 0,
    minor: isDevice ? numberAt(block, start + 337, 8) : 0,
    realSize: type === OLD_SPARSE ? numberAt(block, start + 483, 12) : 0,
    isExtended: type === OLD_SPARSE && block[start + 482] !== 0,
  };
}

/** The directory part of a long name, which formats have, or not, at the same place. */
function prefixAt(block: Uint8Array, start: number, isPosix: boolean): ByteString {
  if (isPosix) {
    // star has two times behind a shorter prefix, and says so at the end of the block.
    const isStar = block[start + 508] === 0x74 && block[start + 509] === 0x61 &&
      block[start + 510] === 0x72 && block[start + 511] === 0;
    return textAt(block, start + 345, isStar ? 131 : 155);
  }
  // GNU has times there. Go's writer before 1.8, and so docker's of that age, put a prefix into
  // GNU's header: what cannot be times and is ASCII is one. https://go.dev/issue/21005
  const areTimes = !Number.isNaN(numberAt(block, start + 345, 12)) &&
    !Number.isNaN(numberAt(block, start + 357, 12));
  if (areTimes) return "";
  const prefix = textAt(block, start + 345, 155);
  return isAscii(prefix) ? prefix : "";
}

/** Text up to a NUL, or the field's end. */
function textAt(block: Uint8Array, start: number, length: number): ByteString {
  let end = start;
  while (end < start + length && block[end] !== 0) end++;
  return byteString(block, start, end);
}

/** Whether a block has nothing but zeros, when its sum is `sum`. */
export function isZero(block: Uint8Array, start: number, sum: number): boolean {
  if (sum !== 8 * 0x20) return false;
  for (let at = start + 148; at < start + 156; at++) if (block[at] !== 0) return false;
  return true;
}

/** A header's checksum: the sum of its bytes, its own field counted as spaces. */
export function blockSum(block: Uint8Array, start: number): number {
  let sum = 8 * 0x20;
  for (let at = start; at < start + 148; at++) sum += block[at]!;
  for (let at = start + 156; at < start + BLOCK; at++) sum += block[at]!;
  return sum;
}

/** The sum as some old writers made it, of signed bytes. */
export function signedBlockSum(block: Uint8Array, start: number): number {
  let sum = blockSum(block, start);
  for (let at = start; at < start + BLOCK; at++) {
    if (block[at]! > 127 && (at < start + 148 || at >= start + 156)) sum -= 256;
  }
  return sum;
}
