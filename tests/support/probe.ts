import { arch, encodeElf, placeIn, ProgramBuilder, type Step, STEP_SIZE } from "../../ffi/mod.ts";
import type { Sandbox } from "./sandbox.ts";

// A program without a C library that makes system calls and prints what the kernel answered: what is
// refused in a container is asked of the kernel itself and not of a tool that may give up before.

/** asm/unistd_64.h and asm-generic/unistd.h: the calls that crate itself never makes. */
const NUMBERS = {
  ptrace: { x86_64: 101, aarch64: 117 },
  reboot: { x86_64: 169, aarch64: 142 },
  init_module: { x86_64: 175, aarch64: 105 },
  delete_module: { x86_64: 176, aarch64: 106 },
  kexec_load: { x86_64: 246, aarch64: 104 },
  add_key: { x86_64: 248, aarch64: 217 },
  finit_module: { x86_64: 313, aarch64: 273 },
  perf_event_open: { x86_64: 298, aarch64: 241 },
  process_vm_readv: { x86_64: 310, aarch64: 270 },
  open_by_handle_at: { x86_64: 304, aarch64: 265 },
  settimeofday: { x86_64: 164, aarch64: 170 },
  swapon: { x86_64: 167, aarch64: 224 },
  acct: { x86_64: 163, aarch64: 89 },
  syslog: { x86_64: 103, aarch64: 116 },
  userfaultfd: { x86_64: 323, aarch64: 282 },
  io_uring_setup: { x86_64: 425, aarch64: 425 },
} as const;

/** A call by name, crate's own or one of those above; its arguments, strings by their address. */
export type Probe = readonly [
  name: Step["operation"] | keyof typeof NUMBERS,
  ...args: (number | bigint | string)[],
];

/** Makes the program that makes these calls in turn, each result of 4 bytes going to its output. */
function build(probes: readonly Probe[]): Uint8Array {
  const p = new ProgramBuilder();
  const results = p.variable("results", 4 * probes.length, new Uint8Array(4 * probes.length));
  const patches: { step: number; number: number }[] = [];
  let step = 0;
  probes.forEach(([name, ...words], i) => {
    const args = words.map((word) => typeof word === "string" ? p.string(word) : word);
    const next = p.label(`after ${name}`);
    const known = Object.hasOwn(NUMBERS, name);
    if (known) patches.push({ step, number: NUMBERS[name as keyof typeof NUMBERS][arch] });
    const operation = known
      ? "getpid"
      : name as Exclude<Step["operation"], "compute" | "compare" | "return">;
    p.call(operation, args, { result: placeIn(results, 4 * i), negative: next });
    p.place(next);
    step++;
  });
  p.call("write", [1, results, 4 * probes.length]);
  p.call("exit_group", [0]);
  const { bytes, addresses } = encodeElf(p.build(), arch);
  // The file is mapped from its beginning at the text's address, a multiple of 64 KiB; a step begins
  // with its number.
  const view = new DataView(bytes.buffer);
  for (const { step, number } of patches) {
    view.setInt32((addresses.steps & 0xffff) + STEP_SIZE * step, number, true);
  }
  return bytes;
}

/** Makes system calls in a container of the busybox root. @returns their results, errors negative. */
export async function probe(
  box: Sandbox,
  probes: readonly Probe[],
  options: readonly string[] = [],
  mode = 0o755,
): Promise<number[]> {
  const file = `${box.rootfs}/probe`;
  Deno.writeFileSync(file, build(probes));
  Deno.chmodSync(file, mode);
  const hex = await box.sh("/probe | od -An -v -td4", options);
  Deno.removeSync(file);
  return hex.trim().split(/\s+/).map(Number);
}
