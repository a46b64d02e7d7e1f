// For tests: profiles and calls that meet each other often.
import fc from "fast-check";
import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall } from "../../spec/mod.ts";
import type { Call } from "./_bpf_interpreter.ts";
import { numbersOf } from "./_naive.ts";
import { ABIS, type Machine } from "./abi.ts";

/** Few names, so that rules meet: of one ABI, of all, multiplexed, private, neighbours, nobody's. */
export const NAMES =
  ("read write open close socket bind accept send recvmmsg socketcall ipc shmat semop clone clone3 " +
    "personality mmap mmap2 fchown32 set_tls cacheflush breakpoint rt_sigaction ioctl execve openat2 " +
    "uretprobe file_setattr no_such_call arm_fadvise64_64").split(" ");

const WORDS: (number | bigint)[] = [
  0,
  1,
  2,
  11,
  21,
  0xff,
  0x10015,
  0x7fffffff,
  0x80000000,
  0xffffffff,
  0x100000000,
  0x100000001,
  0x7e020000,
  0x8000000000000000n,
  0xffffffff00000000n,
  0xfffffffffffffffen,
  0xffffffffffffffffn,
];

const word = fc.constantFrom(...WORDS);

/** One test of an argument. */
export const argument: fc.Arbitrary<LinuxSeccompArg> = fc.record({
  index: fc.constantFrom(0, 0, 1, 2, 5),
  value: word,
  valueTwo: word,
  op: fc.constantFrom(
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
  ),
});

/** An action with the errno it may have. */
export const action: fc.Arbitrary<Pick<LinuxSyscall, "action" | "errnoRet">> = fc.oneof(
  fc.record({
    action: fc.constantFrom(
      "SCMP_ACT_ALLOW",
      "SCMP_ACT_ALLOW",
      "SCMP_ACT_KILL",
      "SCMP_ACT_KILL_PROCESS",
      "SCMP_ACT_KILL_THREAD",
      "SCMP_ACT_TRAP",
      "SCMP_ACT_LOG",
      "SCMP_ACT_NOTIFY",
    ),
  }),
  fc.record({
    action: fc.constantFrom("SCMP_ACT_ERRNO", "SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"),
    errnoRet: fc.constantFrom(1, 13, 38),
  }),
  fc.record({ action: fc.constantFrom("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") }),
);

const rule: fc.Arbitrary<LinuxSyscall> = fc.tuple(
  action,
  fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 6 }),
  fc.oneof(fc.constant(undefined), fc.array(argument, { maxLength: 3 })),
).map(([action, names, args]) => ({ names, ...action, ...(args ? { args } : {}) }));

/** A profile for a machine. */
export function profile(machine: Machine): fc.Arbitrary<LinuxSeccomp> {
  const names = [...ABIS[machine].map(({ name }) => name), "SCMP_ARCH_RISCV64"];
  return fc.tuple(
    action,
    fc.option(fc.subarray(names), { nil: undefined }),
    fc.array(rule, { maxLength: 8 }),
  ).map(([{ action, errnoRet }, architectures, syscalls]) => ({
    defaultAction: action,
    ...(errnoRet === undefined ? {} : { defaultErrnoRet: errnoRet }),
    ...(architectures ? { architectures } : {}),
    syscalls,
  }));
}

/** The numbers worth asking for: those of the names, their neighbours, and the odd ones. */
export function numbers(machine: Machine): number[] {
  const all = new Set([
    0,
    102,
    117,
    335,
    470,
    548,
    0x0f0000,
    0x0f0001,
    0x0f0006,
    0x0f0007,
    0x3fffffff,
    0x40000000,
    0x7fffffff,
    0x80000000,
    0xffffffff,
  ]);
  for (const abi of ABIS[machine]) {
    const table = numbersOf(machine, abi);
    for (const name of NAMES) {
      const number = table.get(name);
      if (number === undefined) continue;
      for (const near of [number - 1, number, number + 1]) all.add(Math.max(0, near) + abi.bit);
    }
  }
  return [...all];
}

/** Calls for a machine, the same ones for the same seed. */
export function* calls(machine: Machine, seed: number, count: number): Generator<Call> {
  let state = seed | 1;
  const pick = <T>(values: readonly T[]): T => {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    return values[(state >>> 8) % values.length]!;
  };
  const nrs = numbers(machine);
  const archs = [...ABIS[machine].map(({ audit }) => audit), 0xc00000f3];
  const argument = () => BigInt.asUintN(64, BigInt(pick(WORDS)) + pick([0n, 0n, 0n, 1n, -1n]));
  for (let i = 0; i < count; i++) {
    yield { nr: pick(nrs), arch: pick(archs), args: Array.from({ length: 6 }, argument) };
  }
}
