// For tests: a profile's meaning read off it rule by rule, with nothing of the compiler's but the tables.
import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall } from "../../spec/mod.ts";
import type { Call } from "./_bpf_interpreter.ts";
import { type Abi, ABIS, callNumber, callTable, type Machine, NO_CALL } from "./abi.ts";

const numbers = new Map<Abi, Map<string, number>>();

/** The numbers of an ABI's calls, as `seccomp_data.nr` has them without x32's bit. */
export function numbersOf(machine: Machine, abi: Abi): Map<string, number> {
  const known = numbers.get(abi);
  if (known) return known;
  const map = new Map<string, number>();
  for (const [name, entry] of callTable(machine)) {
    const call = entry >> abi.shift & NO_CALL;
    if (call !== NO_CALL) map.set(name, callNumber(call));
  }
  numbers.set(abi, map);
  return map;
}

const SOCKETCALLS =
  "socket bind connect listen accept getsockname getpeername socketpair send recv " +
  "sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg";
const IPC: Record<string, number> = {
  semop: 1,
  semget: 2,
  semctl: 3,
  semtimedop: 4,
  msgsnd: 11,
  msgrcv: 12,
  msgget: 13,
  msgctl: 14,
  shmat: 21,
  shmdt: 22,
  shmget: 23,
  shmctl: 24,
};

/** What the profile answers to the call: a `SECCOMP_RET_*` value. */
export function judge(profile: LinuxSeccomp, machine: Machine, call: Call): number {
  const standard = action(profile.defaultAction, profile.defaultErrnoRet);
  const newer = ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].includes(profile.defaultAction)
    ? standard
    : 0x00050026;
  const rules = profile.syscalls ?? [];
  const last = (abi: Abi) => {
    const all = numbersOf(machine, abi);
    let last = -1;
    for (const rule of rules) {
      const silent = action(rule.action, rule.errnoRet) === standard;
      for (const name of rule.names) {
        const number = all.get(name) ?? -1;
        if (number < 0x0f0000) last = Math.max(last, number);
        if (abi.multiplexes && !silent) {
          if (SOCKETCALLS.split(" ").includes(name)) last = Math.max(last, 102);
          if (name in IPC) last = Math.max(last, 117);
        }
      }
    }
    return last;
  };
  const listed = ABIS[machine].filter(({ name }, i) =>
    i === 0 || profile.architectures?.includes(name)
  );
  const abis = listed.filter(({ audit }) => audit === call.arch);
  if (abis.length === 0) return 0;
  if (call.arch === 0xc000003e && call.nr >= 0x80000000) {
    return last(abis.at(-1)!) >= 0 ? newer : standard;
  }
  const x32 = call.arch === 0xc000003e && call.nr >= 0x40000000;
  const abi = abis.find(({ bit }) => (bit !== 0) === x32);
  if (abi === undefined) return 0;
  const nr = call.nr - abi.bit;

  const entry = [...numbersOf(machine, abi)].find(([, number]) => number === nr);
  const about = (name: string) => rules.filter(({ names }) => names.includes(name));
  const heard = (rule: LinuxSyscall) => action(rule.action, rule.errnoRet) !== standard;
  const loud = (entry ? about(entry[0]) : []).filter(heard);
  const whole = loud.find(({ args }) => !args?.length);
  if (whole) return action(whole.action, whole.errnoRet);
  const chain = loud.flatMap((rule) => split(rule).map((args) => ({ rule, args })));
  if (abi.multiplexes && (nr === 102 || nr === 117)) {
    const selector = Number(call.args[0]! & (nr === 102 ? 0xffffffffn : 0xffffn));
    const selected = nr === 102
      ? SOCKETCALLS.split(" ")[selector - 1]
      : Object.keys(IPC).find((name) => IPC[name] === selector);
    for (const rule of selected ? about(selected).filter(heard) : []) {
      for (const args of split(rule)) {
        chain.push({ rule, args: args.filter(({ index }) => index !== 0) });
      }
    }
  }
  for (const { rule, args } of chain) {
    if (args.every((arg) => holds(arg, call.args, abi.wide))) {
      return action(rule.action, rule.errnoRet);
    }
  }
  const ofArm = abi.name === "SCMP_ARCH_ARM" && nr >= 0x0f0001 && nr <= 0x0f0006;
  return nr > last(abi) && last(abi) >= 0 && !ofArm ? newer : standard;
}

function action(name: LinuxSyscall["action"], errno = 1): number {
  switch (name) {
    case "SCMP_ACT_KILL":
    case "SCMP_ACT_KILL_THREAD":
      return 0;
    case "SCMP_ACT_KILL_PROCESS":
      return 0x80000000;
    case "SCMP_ACT_TRAP":
      return 0x00030000;
    case "SCMP_ACT_ERRNO":
      return 0x00050000 + errno;
    case "SCMP_ACT_NOTIFY":
      return 0x7fc00000;
    case "SCMP_ACT_TRACE":
      return 0x7ff00000 + errno;
    case "SCMP_ACT_LOG":
      return 0x7ffc0000;
    case "SCMP_ACT_ALLOW":
      return 0x7fff0000;
  }
}

function split({ args = [] }: LinuxSyscall): LinuxSeccompArg[][] {
  const twice = args.some(({ index }, i) => args.findIndex((arg) => arg.index === index) !== i);
  return twice ? args.map((arg) => [arg]) : [[...args]];
}

function holds(test: LinuxSeccompArg, args: readonly bigint[], wide: boolean): boolean {
  const cut = (value: number | bigint) => BigInt.asUintN(wide ? 64 : 32, BigInt(value));
  const got = cut(args[test.index]!);
  const value = cut(test.value);
  switch (test.op) {
    case "SCMP_CMP_NE":
      return got !== value;
    case "SCMP_CMP_LT":
      return got < value;
    case "SCMP_CMP_LE":
      return got <= value;
    case "SCMP_CMP_EQ":
      return got === value;
    case "SCMP_CMP_GE":
      return got >= value;
    case "SCMP_CMP_GT":
      return got > value;
    case "SCMP_CMP_MASKED_EQ":
      return (got & value) === cut(test.valueTwo ?? 0);
  }
}
