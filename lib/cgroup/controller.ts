import { CrateError } from "../errors.ts";
import type { LinuxResources } from "../spec/mod.ts";

/** One value for one file of a group, and the OCI field that it comes from. */
export interface Setting {
  /** The file's name in the group's directory, `memory.max`. */
  readonly file: string;
  readonly value: string;
  /** The field below `linux.resources`, `memory.limit`. */
  readonly field: string;
  /** What to write when the kernel has no such file: another scheduler's name for the same limit. */
  readonly otherwise?: { readonly file: string; readonly value: string };
}

/** The text of a group's file by the file's name; undefined when the group has none of that name. */
export type ReadFile = (file: string) => string | undefined;

/**
 * One kernel controller: what it enforces and what it counts, in both versions of cgroups.
 *
 * Every controller's file has these same functions, and they are pure: settings are what to write,
 * statistics are made of text that somebody else has read. Settings come in the order in which a
 * fresh group accepts them.
 */
export interface Controller<Stats = undefined> {
  /** Where below `linux.resources` its settings stand: without it, there are none. */
  readonly field: keyof LinuxResources;
  /** The controller's name in cgroup v1; absent when it has none there. */
  readonly v1?: string;
  /** The controller's name in cgroup v2; absent when it has none there. */
  readonly v2?: string;
  /** @throws {CrateError} `UNSUPPORTED` for a field that cgroup v1 cannot enforce. */
  settingsV1(resources: LinuxResources): Setting[];
  /** @throws {CrateError} `UNSUPPORTED` for a field that cgroup v2 cannot enforce. */
  settingsV2(resources: LinuxResources): Setting[];
  /** Undefined when the group has none of the controller's files. */
  statsV1(read: ReadFile): Stats | undefined;
  /** Undefined when the group has none of the controller's files. */
  statsV2(read: ReadFile): Stats | undefined;
}

/** For a controller that counts nothing. */
export function noStats(): undefined {
  return undefined;
}

/** The error for a field that this version of cgroups has no equal for. */
export function unsupported(field: string, why: string): CrateError {
  return new CrateError("UNSUPPORTED", `linux.resources.${field}: ${why}`);
}

/** The error for a value that makes no sense. */
export function invalid(field: string, why: string): CrateError {
  return new CrateError("INVALID", `linux.resources.${field} ${why}`);
}

/**
 * An integer as the kernel's parsers read it.
 *
 * @throws {CrateError} `INVALID` for what is not an integer or lies beyond 64 bits.
 */
export function decimal(value: number, field: string): string {
  if (!Number.isInteger(value) || Math.abs(value) >= 2 ** 64) {
    throw invalid(field, `must be an integer of 64 bits, got ${value}`);
  }
  return String(Number.isSafeInteger(value) ? value : BigInt(value));
}

/** Whether a limit was given: engines send 0 for "not set". */
export function isSet(value: number | undefined): value is number {
  return value !== undefined && value !== 0;
}

/** {@linkcode decimal}, with cgroup v2's word for the unlimited -1. */
export function decimalOrMax(value: number, field: string): string {
  const digits = decimal(value, field);
  return value < 0 ? "max" : digits;
}

/** The numbers of a file of `name value` lines, `memory.stat`. */
export function keyed(text: string | undefined): Record<string, number> {
  const values: Record<string, number> = {};
  if (text === undefined) return values;
  for (const line of text.split("\n")) {
    const space = line.indexOf(" ");
    if (space > 0) values[line.slice(0, space)] = Number(line.slice(space + 1));
  }
  return values;
}

/** One number of a file; undefined for no file and for the unlimited `max` and `-1`. */
export function limited(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const trimmed = text.trim();
  // v1's memory controller says "unlimited" with the largest page-aligned number of 63 bits.
  if (trimmed === "max" || Number(trimmed) < 0 || Number(trimmed) >= 2 ** 62) return undefined;
  return Number(trimmed);
}
