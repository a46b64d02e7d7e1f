// SHA-256 (FIPS 180-4) of what is short. node:crypto is a hundred times as fast, and takes 15 ms to load: more
// than half of what starting a container of an image takes.

/** The fractional parts of the cube roots of the first 64 primes. FIPS 180-4, 4.2.2 */
const K = fractions(64, Math.cbrt);
/** … and of the square roots of the first eight. 5.3.3 */
const START = fractions(8, Math.sqrt);

function fractions(count: number, root: (value: number) => number): Int32Array {
  const found = new Int32Array(count);
  for (let i = 0, n = 2; i < count; n++) {
    let isPrime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) isPrime = false;
    if (isPrime) found[i++] = (root(n) % 1) * 2 ** 32;
  }
  return found;
}

/** The digest of bytes, as hexadecimal digits. */
export function sha256(bytes: Uint8Array): string {
  const state = START.slice();
  // A one bit, zeros, and the length in bits. 5.1.1
  const blocks = Math.floor((bytes.length + 8) / 64) + 1;
  const last = new Uint8Array(bytes.length % 64 > 55 ? 128 : 64);
  const whole = blocks - last.length / 64;
  last.set(bytes.subarray(whole * 64));
  last[bytes.length - whole * 64] = 0x80;
  new DataView(last.buffer).setBigUint64(last.length - 8, BigInt(bytes.length) * 8n);
  const words = new Int32Array(64);
  for (let i = 0; i < whole; i++) compress(state, words, bytes, i * 64);
  for (let at = 0; at < last.length; at += 64) compress(state, words, last, at);
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/** One block. 6.2.2 */
function compress(state: Int32Array, w: Int32Array, bytes: Uint8Array, from: number): void {
  for (let i = 0, at = from; i < 16; i++, at += 4) {
    w[i] = bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!;
  }
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15]!;
    const y = w[i - 2]!;
    const s0 = (x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3;
    const s1 = (y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10;
    w[i] = w[i - 16]! + s0 + w[i - 7]! + s1;
  }
  let a = state[0]!, b = state[1]!, c = state[2]!, d = state[3]!;
  let e = state[4]!, f = state[5]!, g = state[6]!, h = state[7]!;
  for (let i = 0; i < 64; i++) {
    const s1 = (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
    const t1 = h + s1 + (e & f ^ ~e & g) + K[i]! + w[i]! | 0;
    const s0 = (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
    const t2 = s0 + (a & b ^ a & c ^ b & c) | 0;
    h = g;
    g = f;
    f = e;
    e = d + t1 | 0;
    d = c;
    c = b;
    b = a;
    a = t1 + t2 | 0;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
  state[5]! += f;
  state[6]! += g;
  state[7]! += h;
}
