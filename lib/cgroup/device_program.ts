import type { DeviceRule, DeviceRules } from "./device_rules.ts";

// linux/bpf.h: an instruction is `u8 code; u8 dst:4, src:4; s16 off; s32 imm`, 8 bytes. The code is a
// class, an operation and a source of its operand; see kernel.org's "BPF Instruction Set Architecture".
const LDX_MEM_W = 0x61; // BPF_LDX | BPF_MEM | BPF_W: dst = *(u32 *)(src + off)
const MOV64_K = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K: dst = imm
const MOV64_X = 0xbf; // BPF_ALU64 | BPF_MOV | BPF_X: dst = src
const AND64_K = 0x57; // BPF_ALU64 | BPF_AND | BPF_K: dst &= imm
const RSH64_K = 0x77; // BPF_ALU64 | BPF_RSH | BPF_K: dst >>= imm
const JEQ_K = 0x15; // BPF_JMP | BPF_JEQ | BPF_K: if (dst == imm) pc += off
const JSET_K = 0x45; // BPF_JMP | BPF_JSET | BPF_K: if (dst & imm) pc += off
const JNE_K = 0x55; // BPF_JMP | BPF_JNE | BPF_K: if (dst != imm) pc += off
const EXIT = 0x95; // BPF_JMP | BPF_EXIT: return r0

/** linux/bpf.h: `BPF_DEVCG_DEV_*`. */
const TYPES = { b: 1, c: 2 } as const;

// The program's registers.
const RESULT = 0;
const CONTEXT = 1;
const TYPE = 2;
/** The kinds of access that no rule has allowed yet. */
const ACCESS_LEFT = 3;
const MAJOR = 4;
const MINOR = 5;

interface Instruction {
  readonly code: number;
  readonly dst?: number;
  readonly src?: number;
  readonly off?: number;
  readonly imm?: number;
}

/**
 * An allow-list as a program of type `BPF_PROG_TYPE_CGROUP_DEVICE`: what the kernel asks at every
 * mknod and open of a device in a cgroup v2.
 *
 * The kernel hands over `struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor; }`, the
 * type in the low half of the first, the access in the high one; several kinds of access at once
 * when a device is opened to read and write. The program walks the rules from the last: a denying one
 * with any kind that is asked for ends it with 0; an allowing one strikes its kinds out, and when
 * none are left it ends with 1. So every kind is decided by the last rule that is about it.
 *
 * @returns the instructions, 8 bytes each.
 *
 * @example
 * ```ts
 * import { compileDeviceProgram } from "./device_program.ts";
 * import { deviceRules } from "./device_rules.ts";
 * const bytes = compileDeviceProgram(deviceRules([{ allow: false, access: "rwm" }]));
 * if (bytes.length % 8 !== 0) throw new Error();
 * ```
 */
export function compileDeviceProgram({ allowOthers, rules }: DeviceRules): Uint8Array<ArrayBuffer> {
  const program: Instruction[] = [
    { code: LDX_MEM_W, dst: TYPE, src: CONTEXT, off: 0 },
    { code: MOV64_X, dst: ACCESS_LEFT, src: TYPE },
    { code: AND64_K, dst: TYPE, imm: 0xffff },
    { code: RSH64_K, dst: ACCESS_LEFT, imm: 16 },
    { code: LDX_MEM_W, dst: MAJOR, src: CONTEXT, off: 4 },
    { code: LDX_MEM_W, dst: MINOR, src: CONTEXT, off: 8 },
  ];
  const end = program.length + rules.reduce((sum, rule) => sum + lengthOf(rule), 0);
  // At the end stand the answer for what no rule decided, and after it the other one.
  const allowed = allowOthers ? end : end + 2;
  const denied = allowOthers ? end + 2 : end;
  for (const rule of rules.toReversed()) {
    const next = program.length + lengthOf(rule);
    const jump = (code: number, dst: number, imm: number, to: number) =>
      // A distance counts from the instruction after the jump.
      program.push({ code, dst, imm, off: to - program.length - 1 });
    jump(JNE_K, TYPE, TYPES[rule.type], next);
    if (rule.major !== undefined) jump(JNE_K, MAJOR, rule.major, next);
    if (rule.minor !== undefined) jump(JNE_K, MINOR, rule.minor, next);
    if (rule.allow) {
      program.push({ code: AND64_K, dst: ACCESS_LEFT, imm: ~rule.access });
      jump(JEQ_K, ACCESS_LEFT, 0, allowed);
    } else {
      jump(JSET_K, ACCESS_LEFT, rule.access, denied);
    }
  }
  for (const answer of allowOthers ? [1, 0] : [0, 1]) {
    program.push({ code: MOV64_K, dst: RESULT, imm: answer }, { code: EXIT });
  }
  return encode(program);
}

function lengthOf({ allow, major, minor }: DeviceRule): number {
  return 1 + Number(major !== undefined) + Number(minor !== undefined) + (allow ? 2 : 1);
}

function encode(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(8 * program.length));
  program.forEach(({ code, dst = 0, src = 0, off = 0, imm = 0 }, i) => {
    view.setUint8(8 * i, code);
    view.setUint8(8 * i + 1, src << 4 | dst);
    view.setInt16(8 * i + 2, off, true);
    view.setInt32(8 * i + 4, imm, true);
  });
  return new Uint8Array(view.buffer);
}
