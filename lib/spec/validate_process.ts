/**
 * Validation of `process`.
 *
 * @module
 */
import {
  absolute,
  at,
  cpuList,
  each,
  fail,
  type Fields,
  given,
  integer,
  object,
  oneOf,
  optionalBoolean,
  optionalEach,
  optionalInteger,
  optionalStrings,
  optionalText,
  refuse,
  strings,
  uint64,
} from "./check.ts";
import { POLICIES, SCHEDULER_FLAGS } from "./scheduler.ts";
import { MAX_ID } from "./largest.ts";

const INT32_MAX = 0x7fff_ffff;
/** struct winsize counts in unsigned shorts, ioctl_tty(2). */
const MAX_WINDOW = 0xffff;

/** Throws `INVALID` unless the value is a process. */
export function validateProcess(value: unknown, where: string): void {
  const process = object(value, where);
  validateArguments(process, where);
  if (process.cwd === undefined) fail(`${at(where, "cwd")} is missing: the working directory, "/"`);
  absolute(process.cwd, at(where, "cwd"));
  const terminal = optionalBoolean(process, "terminal", where);
  given(process, "consoleSize", where, terminal === true ? consoleSize : unusedConsoleSize);
  given(process, "user", where, user);
  given(process, "capabilities", where, capabilities);
  given(process, "rlimits", where, rlimits);
  optionalBoolean(process, "noNewPrivileges", where);
  optionalText(process, "apparmorProfile", where);
  optionalText(process, "selinuxLabel", where);
  // /proc/PID/oom_score_adj, proc(5).
  optionalInteger(process, "oomScoreAdj", where, -1000, 1000);
  given(process, "scheduler", where, scheduler);
  given(process, "ioPriority", where, ioPriority);
  given(process, "execCPUAffinity", where, execCPUAffinity);
}

function validateArguments(process: Fields, where: string): void {
  const field = at(where, "args");
  if (process.args === undefined) fail(`${field} is missing: the command and its arguments`);
  const args = strings(process.args, field);
  if (args.length === 0) refuse(field, "name a command", args);
  if (args[0] === "") refuse(`${field}[0]`, "name a command", args[0]);

  const env = optionalStrings(process, "env", where);
  if (env === undefined) return;
  for (let i = 0; i < env.length; i++) {
    if (env[i]!.indexOf("=") < 1) refuse(`${at(where, "env")}[${i}]`, "be NAME=value", env[i]);
  }
}

function consoleSize(value: unknown, field: string): void {
  const box = object(value, field);
  for (const key of ["height", "width"]) integer(box[key], at(field, key), 0, MAX_WINDOW);
}

/** Without a terminal the spec asks to ignore it: only its types count. */
function unusedConsoleSize(value: unknown, field: string): void {
  const box = object(value, field);
  for (const key of ["height", "width"]) {
    integer(box[key], at(field, key), 0, Number.MAX_SAFE_INTEGER);
  }
}

function user(value: unknown, field: string): void {
  const fields = object(value, field);
  optionalInteger(fields, "uid", field, 0, MAX_ID);
  optionalInteger(fields, "gid", field, 0, MAX_ID);
  optionalInteger(fields, "umask", field, 0, 0o777);
  optionalText(fields, "username", field);
  optionalEach(fields, "additionalGids", field, (gid, name) => integer(gid, name, 0, MAX_ID));
}

const CAPABILITY_SETS = ["bounding", "effective", "inheritable", "permitted", "ambient"];

/** Names by their form only: which of them this kernel has is not the document's business. */
function capabilities(value: unknown, field: string): void {
  const sets = object(value, field);
  for (const set of CAPABILITY_SETS) {
    const names = optionalStrings(sets, set, field);
    if (names === undefined) continue;
    for (let i = 0; i < names.length; i++) {
      if (!/^CAP_[A-Z][A-Z0-9_]*$/.test(names[i]!)) {
        refuse(`${field}.${set}[${i}]`, "be a capability's name (CAP_CHOWN)", names[i]);
      }
    }
  }
}

/** getrlimit(2). */
const RLIMITS = [
  "RLIMIT_AS",
  "RLIMIT_CORE",
  "RLIMIT_CPU",
  "RLIMIT_DATA",
  "RLIMIT_FSIZE",
  "RLIMIT_LOCKS",
  "RLIMIT_MEMLOCK",
  "RLIMIT_MSGQUEUE",
  "RLIMIT_NICE",
  "RLIMIT_NOFILE",
  "RLIMIT_NPROC",
  "RLIMIT_RSS",
  "RLIMIT_RTPRIO",
  "RLIMIT_RTTIME",
  "RLIMIT_SIGPENDING",
  "RLIMIT_STACK",
];

function rlimits(value: unknown, field: string): void {
  const seen = new Set<string>();
  each(value, field, (value, field) => {
    const limit = object(value, field);
    const type = oneOf(limit.type, at(field, "type"), RLIMITS);
    if (seen.has(type)) fail(`${field} sets ${type} a second time`);
    seen.add(type);
    const soft = uint64(limit.soft, at(field, "soft"));
    const hard = uint64(limit.hard, at(field, "hard"));
    if (soft > hard) fail(`${field} (${type}) has a soft limit ${soft} over the hard one ${hard}`);
  });
}

const IO_CLASSES = ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];

function scheduler(value: unknown, field: string): void {
  const fields = object(value, field);
  oneOf(fields.policy, at(field, "policy"), POLICIES);
  optionalInteger(fields, "nice", field, -20, 19);
  optionalInteger(fields, "priority", field, 0, INT32_MAX);
  optionalEach(fields, "flags", field, (flag, name) => oneOf(flag, name, SCHEDULER_FLAGS));
  for (const key of ["runtime", "deadline", "period"]) {
    optionalInteger(fields, key, field, 0, Number.MAX_SAFE_INTEGER);
  }
}

function ioPriority(value: unknown, field: string): void {
  const fields = object(value, field);
  oneOf(fields.class, at(field, "class"), IO_CLASSES);
  optionalInteger(fields, "priority", field, 0, 7);
}

function execCPUAffinity(value: unknown, field: string): void {
  const fields = object(value, field);
  cpuList(fields, "initial", field);
  cpuList(fields, "final", field);
}
