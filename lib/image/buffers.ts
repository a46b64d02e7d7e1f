/** Less is not worth it; what shares a pool with others is smaller, too. Bytes. */
const LARGE = 1 << 16;

/**
 * Gives memory back at once: V8 would let a hundred megabytes of dead buffers come together before it looks for
 * them. Whatever has seen the bytes must be done with them; they are gone for all.
 */
export function releaseBuffer(bytes: Uint8Array<ArrayBuffer>): void {
  if (bytes.buffer.byteLength >= LARGE) bytes.buffer.transfer(0);
}
