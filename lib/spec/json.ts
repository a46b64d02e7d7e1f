/**
 * A config's JSON text, in both directions, without losing what JavaScript's numbers cannot hold.
 *
 * @module
 */
import { CrateError } from "../errors.ts";
import type { Mount, Process, Spec } from "./types.ts";
import type { LinuxResources } from "./types_resources.ts";
import { type Fields, object } from "./check.ts";
import { findJsonError } from "./json_position.ts";
import { validateSpec } from "./validate.ts";
import { validateMountList, validateMountPoints } from "./validate_mounts.ts";
import { validateProcess } from "./validate_process.ts";
import { validateResources } from "./validate_resources.ts";

/** The fields of type {@linkcode Uint64}: the only ones whose every bit counts. */
const EXACT = new Set(["soft", "hard", "value", "valueTwo"]);

/**
 * The config in a JSON text, validated.
 *
 * What plain `JSON.parse` would get wrong is read as the spec's own Go structs are: a field that
 * is `null` counts as left out, and 64-bit limits and masks stay exact.
 *
 * @param text The document.
 * @param file Its name, for errors.
 * @throws {CrateError} `INVALID`: `config.json:12:3: ...` where it is no JSON,
 * `config.json: process.cwd must ...` where it is no config.
 *
 * @example
 * ```ts
 * import { parseSpec } from "./mod.ts";
 * const text = `{"ociVersion": "1.2.0", "root": {"path": "rootfs"}, "hooks": null}`;
 * if (parseSpec(text, "config.json").hooks !== undefined) throw new Error("null is left out");
 * ```
 */
export function parseSpec(text: string, file: string): Spec {
  return validateSpec(parseJson(text, file), file);
}

/**
 * A process in a JSON text, as `process` of a config: what `exec --process` names.
 *
 * @throws {CrateError} `INVALID`, as {@linkcode parseSpec}.
 */
export function parseProcess(text: string, file: string): Process {
  const value = parseJson(text, file);
  validateProcess(value, `${file}: `);
  return value as Process;
}

/**
 * Resources in a JSON text, as `linux.resources` of a config: what `update --resources` names.
 *
 * @throws {CrateError} `INVALID`, as {@linkcode parseSpec}.
 */
export function parseResources(text: string, file: string): LinuxResources {
  const value = parseJson(text, file);
  validateResources(value, `${file}: `);
  return value as LinuxResources;
}

/**
 * Mounts in a JSON text, as `mounts` of a config: the list, or an object that has it.
 *
 * @throws {CrateError} `INVALID`, as {@linkcode parseSpec}.
 */
export function parseMounts(text: string, file: string): readonly Mount[] {
  return validateMountList(readMountList(text, file), `${file}: `)!;
}

/**
 * The destinations of mounts in a JSON text, whatever else it says of them.
 *
 * @throws {CrateError} `INVALID`, as {@linkcode parseSpec}.
 */
export function parseMountPoints(
  text: string,
  file: string,
): readonly Pick<Mount, "destination">[] {
  return validateMountPoints(readMountList(text, file), `${file}: `);
}

function readMountList(text: string, file: string): Fields {
  const value = parseJson(text, file);
  const fields = Array.isArray(value) ? { mounts: value } : object(value, `${file}: the mounts`);
  if (fields.mounts !== undefined) return fields;
  throw new CrateError("INVALID", `${file}: mounts is missing: the list of them`);
}

/**
 * A config as JSON text that {@linkcode parseSpec} and every other OCI runtime read back.
 *
 * @param indent Spaces per level; 0 writes one line.
 */
export function formatSpec(spec: Spec, indent = 0): string {
  return JSON.stringify(spec, hasBigInt(spec) ? writeBigInt : undefined, indent);
}

/**
 * Any JSON text, read as {@linkcode parseSpec} reads a config: for documents that have one in them.
 *
 * @throws {CrateError} `INVALID`: `state.json:12:3: not JSON: ...`.
 */
export function parseJson(text: string, file: string): unknown {
  try {
    // A reviver costs several times the parse: only for a document that may need it.
    return /\d{16}|:\s*null\b/.test(text)
      ? JSON.parse(text, readAsGo as (key: string, value: unknown) => unknown)
      : JSON.parse(text);
  } catch (error) {
    if (error instanceof RangeError) {
      throw new CrateError("INVALID", `${file} is nested too deeply to be a config`);
    }
    const { line, column, problem } = findJsonError(text) ??
      { line: 1, column: 1, problem: (error as Error).message };
    throw new CrateError("INVALID", `${file}:${line}:${column}: not JSON: ${problem}`);
  }
}

/** The reviver: no nulls in objects, exact 64-bit integers. */
function readAsGo(
  this: unknown,
  key: string,
  value: unknown,
  context: { source?: string },
): unknown {
  if (value === null) return Array.isArray(this) || key === "" ? null : undefined;
  if (typeof value === "number" && value > Number.MAX_SAFE_INTEGER && EXACT.has(key)) {
    const source = context.source ?? "";
    if (/^\d+$/.test(source)) return BigInt(source);
  }
  return value;
}

function hasBigInt(spec: Spec): boolean {
  const isBig = (value: unknown) => typeof value === "bigint";
  if (spec.process?.rlimits?.some((limit) => isBig(limit.soft) || isBig(limit.hard))) return true;
  return spec.linux?.seccomp?.syscalls?.some((rule) =>
    rule.args?.some((arg) => isBig(arg.value) || isBig(arg.valueTwo))
  ) ?? false;
}

function writeBigInt(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? rawJSON(value.toString()) : value;
}

/** JSON.rawJSON is in V8 and not yet in TypeScript's library. */
function rawJSON(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);
}
