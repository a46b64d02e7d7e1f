import {
  cap_user_data,
  cap_user_header,
  LINUX_CAPABILITY_VERSION_3,
  readText,
  syscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { nearest } from "./nearest.ts";

/** linux/capability.h, in the order of their bits, from 0. */
const NAMES = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP " +
  "LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE " +
  "SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME " +
  "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG " +
  "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

/** What a container has that asks for nothing: Docker's fourteen. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_RAW",
  "CAP_SYS_CHROOT",
  "CAP_MKNOD",
  "CAP_AUDIT_WRITE",
  "CAP_SETFCAP",
];

let bits: ReadonlyMap<string, number> | undefined;

function table(): ReadonlyMap<string, number> {
  return bits ??= new Map(NAMES.split(" ").map((name, bit) => [`CAP_${name}`, bit]));
}

function fullName(name: string): string {
  const upper = name.toUpperCase();
  return upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
}

/**
 * The bit of a capability; `CAP_NET_ADMIN`, `NET_ADMIN` and `net_admin` are the same.
 *
 * @throws {CrateError} `INVALID`: there is none of that name.
 *
 * @example
 * ```ts
 * import { capabilityBit } from "./capabilities.ts";
 * if (capabilityBit("CAP_SYS_ADMIN") !== 21) throw new Error();
 * ```
 *
 * @see capabilities(7)
 */
export function capabilityBit(name: string): number {
  const full = fullName(name);
  const bit = table().get(full);
  if (bit !== undefined) return bit;
  const near = nearest(full, table().keys());
  throw new CrateError(
    "INVALID",
    `there is no capability ${JSON.stringify(name)}` +
      (near === undefined ? ": capabilities(7) lists them" : `: did you mean ${near}?`),
  );
}

/**
 * The set of capabilities as the kernel has it: bit n for capability n.
 *
 * @throws {CrateError} `INVALID`: an unknown name.
 *
 * @example
 * ```ts
 * import { capabilityMask } from "./capabilities.ts";
 * if (capabilityMask(["CAP_CHOWN", "CAP_BPF"]) !== (1n | 1n << 39n)) throw new Error();
 * ```
 */
export function capabilityMask(names: readonly string[]): bigint {
  // In halves: arithmetic on bigints is what would take the time here.
  let low = 0;
  let high = 0;
  for (const name of names) {
    const bit = capabilityBit(name);
    if (bit < 32) low |= 1 << bit;
    else high |= 1 << (bit - 32);
  }
  return BigInt(high >>> 0) << 32n | BigInt(low >>> 0);
}

/** A set's two halves, as the two `struct __user_cap_data_struct` of capset(2)'s version 3 have them. */
export function splitCapabilityMask(mask: bigint): [low: number, high: number] {
  return [Number(mask & 0xffffffffn), Number(mask >> 32n & 0xffffffffn)];
}

let last: number | undefined;

/**
 * The highest capability that the running kernel knows, read once.
 *
 * @throws {SyscallError} when there is no /proc.
 */
export function lastCapability(): number {
  return last ??= Number.parseInt(readText("/proc/sys/kernel/cap_last_cap", 16), 10);
}

/** The names of all capabilities that the running kernel knows, in the order of their bits. */
export function allCapabilities(): string[] {
  return [...table().keys()].slice(0, lastCapability() + 1);
}

let available: readonly string[] | undefined;

/**
 * The capabilities that this process has and can hand on, in the order of their bits, read once: root of
 * a container or of a sandboxed machine has not all of them.
 *
 * @throws {SyscallError}
 *
 * @see capget(2)
 */
export function availableCapabilities(): readonly string[] {
  if (available === undefined) {
    const sets = new Uint8Array(cap_user_data.size);
    const header = cap_user_header.pack({ version: LINUX_CAPABILITY_VERSION_3 });
    syscall("capget", header, sets);
    const halves = [
      cap_user_data.get(sets, "permitted_lo"),
      cap_user_data.get(sets, "permitted_hi"),
    ];
    available = [...table()].filter(([, bit]) => halves[bit >> 5]! >>> (bit & 31) & 1)
      .map(([name]) => name);
  }
  return available;
}

/** What a command line says of capabilities. */
export interface CapabilityChoice {
  /** Names, or `ALL`. */
  readonly add?: readonly string[];
  /** Names, or `ALL`. */
  readonly drop?: readonly string[];
  /** All of them, whatever else is said. */
  readonly privileged?: boolean;
  /** What there is without a word; {@linkcode DEFAULT_CAPABILITIES} if left out. */
  readonly defaults?: readonly string[];
}

/**
 * The capabilities that a container gets, as Docker works it out: with `ALL` added, all but the dropped
 * ones; with `ALL` dropped, the added ones only; else the defaults without the dropped, with the added.
 *
 * @returns `CAP_*` names in the order of their bits.
 * @throws {CrateError} `INVALID`: an unknown name.
 *
 * @example
 * ```ts
 * import { resolveCapabilities } from "./capabilities.ts";
 * const names = resolveCapabilities({ add: ["net_admin"], drop: ["ALL"] });
 * if (names.join() !== "CAP_NET_ADMIN") throw new Error();
 * ```
 */
export function resolveCapabilities(
  { add = [], drop = [], privileged = false, defaults = DEFAULT_CAPABILITIES }: CapabilityChoice,
): string[] {
  const isAll = (name: string) => fullName(name) === "CAP_ALL";
  const named = (names: readonly string[]) => capabilityMask(names.filter((name) => !isAll(name)));
  const added = named(add);
  const dropped = named(drop);
  const all = (1n << BigInt(lastCapability() + 1)) - 1n;
  const mask = privileged
    ? all
    : add.some(isAll)
    ? all & ~dropped
    : drop.some(isAll)
    ? added
    : named(defaults) & ~dropped | added;
  return [...table()].filter(([, bit]) => mask >> BigInt(bit) & 1n).map(([name]) => name);
}
