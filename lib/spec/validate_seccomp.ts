/**
 * Validation of `linux.seccomp`.
 *
 * @module
 */
import {
  at,
  fail,
  type Fields,
  integer,
  object,
  oneOf,
  optionalEach,
  optionalText,
  refuse,
  strings,
  text,
  uint64,
} from "./check.ts";

const ACTIONS = [
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
];
const OPERATORS = [
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
];
const FLAGS = [
  "SECCOMP_FILTER_FLAG_TSYNC",
  "SECCOMP_FILTER_FLAG_LOG",
  "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
  "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];
const ARCHITECTURES = [
  "SCMP_ARCH_X86",
  "SCMP_ARCH_X86_64",
  "SCMP_ARCH_X32",
  "SCMP_ARCH_ARM",
  "SCMP_ARCH_AARCH64",
  "SCMP_ARCH_LOONGARCH64",
  "SCMP_ARCH_M68K",
  "SCMP_ARCH_MIPS",
  "SCMP_ARCH_MIPS64",
  "SCMP_ARCH_MIPS64N32",
  "SCMP_ARCH_MIPSEL",
  "SCMP_ARCH_MIPSEL64",
  "SCMP_ARCH_MIPSEL64N32",
  "SCMP_ARCH_PARISC",
  "SCMP_ARCH_PARISC64",
  "SCMP_ARCH_PPC",
  "SCMP_ARCH_PPC64",
  "SCMP_ARCH_PPC64LE",
  "SCMP_ARCH_RISCV64",
  "SCMP_ARCH_S390",
  "SCMP_ARCH_S390X",
  "SCMP_ARCH_SH",
  "SCMP_ARCH_SHEB",
];

/** SECCOMP_RET_DATA has 16 bits, seccomp(2). */
const MAX_ERRNO = 0xffff;

/** Throws `INVALID` unless the value is a filter. */
export function validateSeccomp(value: unknown, where: string): void {
  const seccomp = object(value, where);
  const action = oneOf(seccomp.defaultAction, at(where, "defaultAction"), ACTIONS);
  errno(seccomp, "defaultErrnoRet", action, where);
  optionalEach(seccomp, "architectures", where, (arch, field) => oneOf(arch, field, ARCHITECTURES));
  optionalEach(seccomp, "flags", where, (flag, field) => oneOf(flag, field, FLAGS));
  const listener = optionalText(seccomp, "listenerPath", where);
  if (optionalText(seccomp, "listenerMetadata", where) && !listener) {
    fail(`${at(where, "listenerMetadata")} needs ${at(where, "listenerPath")}`);
  }
  optionalEach(seccomp, "syscalls", where, rule);
}

function rule(value: unknown, field: string): void {
  const fields = object(value, field);
  const names = strings(fields.names, at(field, "names"));
  if (names.length === 0) refuse(at(field, "names"), "name a system call", names);
  for (let i = 0; i < names.length; i++) {
    if (names[i] === "") refuse(`${at(field, "names")}[${i}]`, "name a system call", names[i]);
  }
  const action = oneOf(fields.action, at(field, "action"), ACTIONS);
  errno(fields, "errnoRet", action, field);
  optionalEach(fields, "args", field, argument);
}

/** The spec: "When the action doesn't support an errno, the runtime MUST print and error and fail." */
function errno(fields: Fields, key: string, action: string, where: string): void {
  if (fields[key] === undefined) return;
  integer(fields[key], at(where, key), 0, MAX_ERRNO);
  if (action !== "SCMP_ACT_ERRNO" && action !== "SCMP_ACT_TRACE") {
    fail(`${at(where, key)} goes with SCMP_ACT_ERRNO or SCMP_ACT_TRACE, not with ${action}`);
  }
}

function argument(value: unknown, field: string): void {
  const fields = object(value, field);
  integer(fields.index, at(field, "index"), 0, 5);
  uint64(fields.value, at(field, "value"));
  if (fields.valueTwo !== undefined) uint64(fields.valueTwo, at(field, "valueTwo"));
  oneOf(text(fields.op, at(field, "op")), at(field, "op"), OPERATORS);
}
