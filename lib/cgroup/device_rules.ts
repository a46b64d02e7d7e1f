import { CrateError } from "../errors.ts";
import type { LinuxResources } from "../spec/mod.ts";
import { invalid, type Setting, unsupported } from "./controller.ts";

/** linux/bpf.h: `BPF_DEVCG_ACC_*`. */
const ACCESS = { m: 1, r: 2, w: 4 } as const;
const ALL = ACCESS.m | ACCESS.r | ACCESS.w;

/** One rule, brought to one form. */
export interface DeviceRule {
  readonly allow: boolean;
  readonly type: "b" | "c";
  /** Undefined: any. */
  readonly major?: number;
  readonly minor?: number;
  /** A bit for each kind of access: mknod 1, read 2, write 4. */
  readonly access: number;
}

/** A list in order: for each kind of access to a device, the last rule that is about it decides. */
export interface DeviceRules {
  /** What becomes of an access that no rule is about. */
  readonly allowOthers: boolean;
  readonly rules: readonly DeviceRule[];
}

/**
 * What every container may use, as runc has it: the making of any node (opening it is another
 * matter), null, zero, full, random, urandom, tty, ptmx and its terminals. In the form of v1's files,
 * so that the usual list needs no work at all there.
 */
const DEFAULTS = [
  "c *:* m",
  "b *:* m",
  "c 1:3 rwm",
  "c 1:5 rwm",
  "c 1:7 rwm",
  "c 1:8 rwm",
  "c 1:9 rwm",
  "c 5:0 rwm",
  "c 5:2 rwm",
  "c 136:* rwm",
];

/**
 * `linux.resources.devices` as rules, in its order. Nothing said is everything denied. A rule without
 * `access` is about all three kinds of it.
 *
 * The devices that every container has come after these: see {@linkcode withDefaults}.
 *
 * @throws {CrateError} `INVALID` for an access other than of `r`, `w` and `m`, or a number that no
 * device has (majors have 12 bits, minors 20).
 *
 * @example
 * ```ts
 * import { deviceRules } from "./device_rules.ts";
 * const privileged = deviceRules([{ allow: true, access: "rwm" }]);
 * if (!privileged.allowOthers || privileged.rules.length > 0) throw new Error();
 * ```
 */
export function deviceRules(devices: LinuxResources["devices"] = []): DeviceRules {
  let allowOthers = false;
  let rules: DeviceRule[] = [];
  devices.forEach(({ allow, type = "a", major: anyMajor, minor: anyMinor, access }, i) => {
    const field = `devices[${i}]`;
    const major = numberOf(anyMajor, 0xfff, `${field}.major`);
    const minor = numberOf(anyMinor, 0xfffff, `${field}.minor`);
    const bits = access === undefined ? ALL : accessOf(access, `${field}.access`);
    if (type === "a" && major === undefined && minor === undefined && bits === ALL) {
      // It is about everything: what stood before it cannot matter any more.
      allowOthers = allow;
      rules = [];
      return;
    }
    for (const kind of type === "a" ? ["b", "c"] as const : [type]) {
      rules.push({ allow, type: kind, major, minor, access: bits });
    }
  });
  return { allowOthers, rules };
}

/** A major or minor number; -1 is the engines' way to say "any". */
function numberOf(value: number | undefined, most: number, field: string): number | undefined {
  if (value === undefined || value === -1) return undefined;
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw invalid(field, `must be between 0 and ${most}, or -1 for any, got ${value}`);
  }
  return value;
}

function accessOf(access: string, field: string): number {
  let bits = 0;
  for (const letter of access) bits |= ACCESS[letter as keyof typeof ACCESS] ?? 8;
  if (bits === 0 || bits > ALL) {
    throw invalid(field, `must be of the letters "rwm", got ${JSON.stringify(access)}`);
  }
  return bits;
}

/** The rules, and after them the devices that every container may use. */
export function withDefaults({ allowOthers, rules }: DeviceRules): DeviceRules {
  const defaults = DEFAULTS.map((line): DeviceRule => {
    const [type = "c", major, minor, access = ""] = line.split(/[ :]/);
    const number = (text = "*") => text === "*" ? undefined : Number(text);
    return {
      allow: true,
      type: type === "b" ? "b" : "c",
      major: number(major),
      minor: number(minor),
      access: accessOf(access, "devices"),
    };
  });
  return { allowOthers, rules: [...rules, ...defaults] };
}

/** Whether a list keeps a container from anything. */
export function restricts({ allowOthers, rules }: DeviceRules): boolean {
  return !allowOthers || rules.some(({ allow }) => !allow);
}

/**
 * The writes that put a list, with the defaults, into a fresh v1 group: one rule a write, because the
 * kernel reads the first line of a write and drops the others without a word.
 *
 * @throws {CrateError} as {@linkcode deviceExceptions}.
 */
export function deviceSettings(list: DeviceRules): Setting[] {
  const field = "devices";
  if (list.allowOthers) {
    return deviceExceptions(withDefaults(list))
      .map((exception) => ({ file: "devices.deny", value: show(exception), field }));
  }
  const lines = list.rules.some(({ allow }) => allow)
    ? deviceExceptions(withDefaults(list)).map(show)
    : DEFAULTS;
  return [
    { file: "devices.deny", value: "a", field },
    ...lines.map((value) => ({ file: "devices.allow", value, field })),
  ];
}

type Exception = { -readonly [K in keyof DeviceRule]: DeviceRule[K] };

/**
 * The rules as cgroup v1 can hold them: exceptions to one behaviour, without an order.
 *
 * @throws {CrateError} `UNSUPPORTED` for a rule that takes back a part of an earlier, wider one: v1
 * takes back whole exceptions only.
 */
export function deviceExceptions({ allowOthers, rules }: DeviceRules): DeviceRule[] {
  let exceptions: Exception[] = [];
  for (const rule of rules) {
    if (rule.allow === allowOthers) exceptions = takeBack(exceptions, rule);
    else add(exceptions, rule);
  }
  return allowOthers ? exceptions : complete(exceptions);
}

function add(exceptions: Exception[], rule: DeviceRule): void {
  const same = exceptions.find(({ type, major, minor }) =>
    type === rule.type && major === rule.major && minor === rule.minor
  );
  if (same === undefined) exceptions.push({ ...rule });
  else same.access |= rule.access;
}

function takeBack(exceptions: Exception[], rule: DeviceRule): Exception[] {
  for (const exception of exceptions) {
    if (!overlap(rule, exception) || (rule.access & exception.access) === 0) continue;
    if (!covers(rule, exception)) {
      const [now, before] = rule.allow ? ["allow", "denied"] : ["deny", "allowed"];
      throw unsupported(
        "devices",
        `cgroup v1 cannot ${now} "${show(rule)}" where "${show(exception)}" was ${before} before`,
      );
    }
    exception.access &= ~rule.access;
  }
  return exceptions.filter(({ access }) => access !== 0);
}

function overlap(a: DeviceRule, b: DeviceRule): boolean {
  return a.type === b.type &&
    (a.major === undefined || b.major === undefined || a.major === b.major) &&
    (a.minor === undefined || b.minor === undefined || a.minor === b.minor);
}

/** Whether all that `b` is about, `a` is about, too. */
function covers(a: DeviceRule, b: DeviceRule): boolean {
  return a.type === b.type &&
    (a.major === undefined || a.major === b.major) &&
    (a.minor === undefined || a.minor === b.minor);
}

/**
 * v1 allows an access, `rw`, when one exception covers all of it: so each must also say what wider
 * ones say, and where two cross (`1:*` and `*:3`) there must be one for that device.
 */
function complete(exceptions: readonly Exception[]): DeviceRule[] {
  const all = [...exceptions];
  for (const { type, allow, major, minor: anyMinor } of exceptions) {
    if (major === undefined || anyMinor !== undefined) continue;
    for (const { type: otherType, major: anyMajor, minor } of exceptions) {
      if (type !== otherType || anyMajor !== undefined || minor === undefined) continue;
      add(all, { allow, type, major, minor, access: 0 });
    }
  }
  return all.map((one) => ({
    ...one,
    access: exceptions.reduce((sum, e) => covers(e, one) ? sum | e.access : sum, 0),
  }));
}

/** A rule as the files of v1 have it: `c 136:* rwm`. */
function show({ type, major, minor, access }: DeviceRule): string {
  let letters = "";
  for (const letter of ["r", "w", "m"] as const) if (access & ACCESS[letter]) letters += letter;
  return `${type} ${major ?? "*"}:${minor ?? "*"} ${letters}`;
}

/** The error for a host whose kernel cannot enforce a list at all. */
export function noDeviceControl(): CrateError {
  return unsupported(
    "devices",
    "this host has neither the devices controller of cgroup v1 nor a cgroup v2 hierarchy",
  );
}
