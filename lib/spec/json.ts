/**
 * A config's JSON text, in both directions, without losing what JavaScript's numbers cannot hold.
 *
 * @module
 */
import { CrateError } from "../errors.ts";
import type { Spec } from "./types.ts";
import { findJsonError } from "./json_position.ts";

/** The fields of type {@linkcode Uint64}: the only ones whose every bit counts. */
const EXACT = new Set(["soft", "hard", "value", "valueTwo"]);

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
    return hasLongNumber(text) || text.includes("null") && /:\s*null\b/.test(text)
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

/** Whether there are sixteen digits in a row; one of them is then at a multiple of sixteen. */
function hasLongNumber(text: string): boolean {
  const isDigit = (at: number) => {
    const code = text.charCodeAt(at);
    return code >= 48 && code <= 57;
  };
  for (let at = 0; at < text.length; at += 16) {
    if (!isDigit(at)) continue;
    let [from, to] = [at, at + 1];
    while (isDigit(from - 1)) from--;
    while (isDigit(to)) to++;
    if (to - from >= 16) return true;
  }
  return false;
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
