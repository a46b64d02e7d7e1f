// For tests: the kernel's view of a filter. What it checks before it takes one, and what one answers.

/** `struct seccomp_data`, linux/seccomp.h. */
export interface Call {
  readonly nr: number;
  readonly arch: number;
  readonly args: readonly bigint[];
}

const SECCOMP_DATA_SIZE = 64;
const BPF_MAXINSNS = 4096;

/**
 * Throws unless the kernel would take the filter (bpf_check_classic and seccomp_check_filter); gives the
 * number of instructions that nothing leads to.
 */
export function checkFilter(filter: Uint8Array<ArrayBuffer>): number {
  const words = new Uint32Array(filter.buffer, filter.byteOffset, filter.length / 4);
  const count = words.length / 2;
  if (count < 1 || count > BPF_MAXINSNS) throw new Error(`${count} instructions`);
  const seen = new Uint8Array(count);
  seen[0] = 1;
  for (let i = 0; i < count; i++) {
    const [code, yes, no, k] = instruction(words, i);
    const goes = (to: number) => {
      if (to >= count) throw new Error(`instruction ${i} goes past the end`);
      seen[to] = 1;
    };
    if (code === 0x06) continue;
    if (code === 0x05) goes(i + 1 + k);
    else if (code === 0x15 || code === 0x25 || code === 0x35 || code === 0x45) {
      goes(i + 1 + yes);
      goes(i + 1 + no);
    } else if (code === 0x20) {
      if (k % 4 !== 0 || k >= SECCOMP_DATA_SIZE) {
        throw new Error(`instruction ${i} loads from ${k}`);
      }
      goes(i + 1);
    } else if (code === 0x54) goes(i + 1);
    else throw new Error(`instruction ${i} has the code ${code}`);
  }
  if (words[2 * count - 2]! !== 0x06) throw new Error("the last instruction does not return");
  return seen.filter((reached) => reached === 0).length;
}

function instruction(words: Uint32Array, i: number): [number, number, number, number] {
  const word = words[2 * i]!;
  return [word & 0xffff, word >> 16 & 0xff, word >>> 24, words[2 * i + 1]!];
}

/** What the filter answers to a call, and how many instructions that took. */
export function runFilter(
  filter: Uint8Array<ArrayBuffer>,
  { nr, arch, args }: Call,
): { answer: number; steps: number } {
  const words = new Uint32Array(filter.buffer, filter.byteOffset, filter.length / 4);
  const data = new Uint32Array(SECCOMP_DATA_SIZE / 4);
  data[0] = nr;
  data[1] = arch;
  for (let i = 0; i < 6; i++) {
    data[4 + 2 * i] = Number(args[i]! & 0xffffffffn);
    data[5 + 2 * i] = Number(args[i]! >> 32n);
  }
  let a = 0;
  for (let at = 0, steps = 1;; at++, steps++) {
    const [code, yes, no, k] = instruction(words, at);
    if (code === 0x06) return { answer: k, steps };
    if (code === 0x05) at += k;
    else if (code === 0x15) at += a === k ? yes : no;
    else if (code === 0x25) at += a > k ? yes : no;
    else if (code === 0x35) at += a >= k ? yes : no;
    else if (code === 0x45) at += (a & k) !== 0 ? yes : no;
    else if (code === 0x20) a = data[k / 4]!;
    else if (code === 0x54) a = (a & k) >>> 0;
    else throw new Error(`instruction ${at} has the code ${code}`);
  }
}
