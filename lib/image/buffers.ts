/** Less is not worth it; what shares a pool with others is smaller, too. Bytes. */
const LARGE = 1 << 16;

/** Whether giving the memory back is worth it. */
export function isLarge(bytes: Uint8Array<ArrayBuffer>): boolean {
  return bytes.buffer.byteLength >= LARGE;
}

/**
 * Gives memory back at once: V8 would let a hundred megabytes of dead buffers come together before it looks for
 * them. Whatever has seen the bytes must be done with them; they are gone for all.
 */
export function releaseBuffer(bytes: Uint8Array<ArrayBuffer>): void {
  if (isLarge(bytes)) bytes.buffer.transfer(0);
}

/** A blob of so many bytes is kept in one piece of memory on its way. */
export const SMALL_BLOB = 1 << 21;

/** Two parts as one, where the second lies right behind the first in memory. */
export function asOne(
  first: Uint8Array<ArrayBuffer>,
  second: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> | undefined {
  const { buffer, byteOffset, length } = first;
  if (second.buffer !== buffer || second.byteOffset !== byteOffset + length) return undefined;
  return new Uint8Array(buffer, byteOffset, length + second.length);
}

/** Parts of so many bytes together, one behind the other; a single part is itself. */
export function joined(
  parts: readonly Uint8Array<ArrayBuffer>[],
  size: number,
): Uint8Array<ArrayBuffer> {
  if (parts.length === 1) return parts[0]!;
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
