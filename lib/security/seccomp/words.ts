import type {
  LinuxSeccomp,
  LinuxSeccompAction,
  LinuxSeccompArg,
  LinuxSeccompOperator,
} from "../../spec/mod.ts";
import { CrateError } from "../../errors.ts";

/** `SECCOMP_RET_*`, linux/seccomp.h; what has data takes it in its lower 16 bits. */
const ACTIONS: Readonly<Record<LinuxSeccompAction, number>> = {
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};

const OPERATORS: readonly LinuxSeccompOperator[] = [
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
];

const EPERM = 1;
const ENOSYS = 38;

/** What a call gets that is newer than the profile: `SECCOMP_RET_ERRNO | ENOSYS`. */
export const ANSWER_MISSING = ACTIONS.SCMP_ACT_ERRNO | ENOSYS;
/** What a program of an architecture gets that the profile does not list: libseccomp's default. */
export const ANSWER_FOREIGN = ACTIONS.SCMP_ACT_KILL_THREAD;
/** What makes a listener necessary. */
export const ANSWER_NOTIFY = ACTIONS.SCMP_ACT_NOTIFY;

/** The value that a filter returns for an action: EPERM where an errno is needed and none is given. */
export function answerOf(
  action: LinuxSeccompAction,
  errno: number | undefined,
  field: string,
): number {
  const base: number | undefined = ACTIONS[action];
  if (typeof base !== "number") throw wrongWord(field, Object.keys(ACTIONS), action);
  if (action !== "SCMP_ACT_ERRNO" && action !== "SCMP_ACT_TRACE") return base;
  return base | (errno ?? EPERM) & 0xffff;
}

/** One test of one argument, its 64-bit numbers in halves. */
export interface Condition {
  readonly index: number;
  readonly op: LinuxSeccompOperator;
  readonly high: number;
  readonly low: number;
  /** For `SCMP_CMP_MASKED_EQ`. */
  readonly maskHigh: number;
  readonly maskLow: number;
}

/** Reads a rule's `args`: lists of conditions, one of which must hold as a whole. */
export function readAlternatives(args: readonly LinuxSeccompArg[], field: string): Condition[][] {
  const conditions = args.map((arg, i) => readCondition(arg, `${field}[${i}]`));
  const indexes = new Set(conditions.map(({ index }) => index));
  // A rule that tests one argument twice could not mean both: runc takes each test for a rule.
  return indexes.size === conditions.length ? [conditions] : conditions.map((one) => [one]);
}

function readCondition(
  { index, op, value, valueTwo = 0 }: LinuxSeccompArg,
  field: string,
): Condition {
  if (!(Number.isInteger(index) && index >= 0 && index <= 5)) {
    throw new CrateError("INVALID", `${field}.index must be 0 to 5, got ${index}`);
  }
  const [high, low] = halves(value, `${field}.value`);
  if (!OPERATORS.includes(op)) throw wrongWord(`${field}.op`, OPERATORS, op);
  if (op !== "SCMP_CMP_MASKED_EQ") return { index, op, high, low, maskHigh: 0, maskLow: 0 };
  const [wantedHigh, wantedLow] = halves(valueTwo, `${field}.valueTwo`);
  return { index, op, high: wantedHigh, low: wantedLow, maskHigh: high, maskLow: low };
}

function halves(value: number | bigint, field: string): [high: number, low: number] {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) {
    return [Math.floor(value / 2 ** 32), value >>> 0];
  }
  if (typeof value === "bigint" && value >= 0n && value < 2n ** 64n) {
    return [Number(value >> 32n), Number(value & 0xffffffffn)];
  }
  throw new CrateError(
    "INVALID",
    `${field} must be an unsigned 64-bit integer (a bigint above 2^53 - 1), got ${value}`,
  );
}

// linux/seccomp.h
const SECCOMP_FILTER_FLAG_TSYNC = 1;
const SECCOMP_FILTER_FLAG_LOG = 2;
const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;
const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8;
const SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 16;
const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 32;
const FLAGS: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_FILTER_FLAG_LOG,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
};

/** The flags for seccomp(2). */
export function readFlags(flags: LinuxSeccomp["flags"], notifies: boolean): number {
  let bits = flags == null ? SECCOMP_FILTER_FLAG_SPEC_ALLOW : 0;
  for (const [i, flag] of flags?.entries() ?? []) {
    if (!Object.hasOwn(FLAGS, flag)) {
      throw wrongWord(`linux.seccomp.flags[${i}]`, Object.keys(FLAGS), flag);
    }
    bits |= FLAGS[flag]!;
  }
  // Without a listener nobody waits for it, and the kernel refuses the flag (EINVAL).
  if (!notifies) return bits & ~SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  bits |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
  // With both, the result cannot be the thread it failed for and the listener's descriptor.
  return bits & SECCOMP_FILTER_FLAG_TSYNC ? bits | SECCOMP_FILTER_FLAG_TSYNC_ESRCH : bits;
}

function wrongWord(field: string, words: readonly string[], got: unknown): CrateError {
  const list = words.join(", ");
  return new CrateError("INVALID", `${field} must be one of ${list}, got ${JSON.stringify(got)}`);
}
