/**
 * The small questions that validation asks of a value, each of which answers with the value in its
 * type or throws `CrateError("INVALID", ...)` naming the field.
 *
 * `where` is always the path of the object asked, `process.rlimits[0]`, with the document's name
 * before it when there is one; a path is only ever put together from it.
 *
 * @module
 */
import { CrateError } from "../errors.ts";
import { MAX_UINT64 } from "./largest.ts";

/** An object whose fields nobody has looked at yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** A value as an error message shows it: JSON, at most about 60 characters. */
export function show(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 56)}..."` : text;
}

/** Throws: `<field> must be <what>, got <value>`. */
export function refuse(field: string, must: string, got: unknown): never {
  throw new CrateError("INVALID", `${field} must ${must}, got ${show(got)}`);
}

/** Throws a sentence of the caller's own. */
export function fail(sentence: string): never {
  throw new CrateError("INVALID", sentence);
}

/** The path of a field: `process` and `cwd` make `process.cwd`. */
export function at(where: string, key: string): string {
  return where === "" || where.endsWith(" ") ? where + key : `${where}.${key}`;
}

/** The value as an object. */
export function object(value: unknown, field: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    refuse(field, "be an object", value);
  }
  return value as Fields;
}

/** The value as a list of anything. */
export function list(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) refuse(field, "be a list", value);
  return value;
}

/** The value as a string the kernel reads whole: one without NUL. */
export function text(value: unknown, field: string): string {
  if (typeof value !== "string") refuse(field, "be a string", value);
  if (value.includes("\0")) refuse(field, "not contain a NUL character", value);
  return value;
}

/** The value as a path from `/`. */
export function absolute(value: unknown, field: string): string {
  const path = text(value, field);
  if (!path.startsWith("/")) refuse(field, "be absolute", path);
  return path;
}

/** The value as a whole number from `min` to `max`. */
export function integer(value: unknown, field: string, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    // Where both ends are the type's own, "a whole number" says more than 16 digits would.
    const what = max >= Number.MAX_SAFE_INTEGER
      ? (min === 0 ? "be a whole number, 0 or more" : `be a whole number, ${min} or more`)
      : `be a whole number from ${min} to ${max}`;
    refuse(field, what, value);
  }
  return value;
}

/** The value as an unsigned 64-bit integer, exact: a number that may be rounded is refused. */
export function uint64(value: unknown, field: string): number | bigint {
  if (
    typeof value === "bigint"
      ? value >= 0n && value <= MAX_UINT64
      : Number.isSafeInteger(value) && (value as number) >= 0
  ) {
    return value as number | bigint;
  }
  if (typeof value === "number" && value > Number.MAX_SAFE_INTEGER) {
    refuse(field, "be exact: a bigint where it is over 2^53-1", value);
  }
  refuse(field, "be a whole number from 0 to 2^64-1", value);
}

/** The value as one of the words. */
export function oneOf(value: unknown, field: string, words: readonly string[]): string {
  if (typeof value !== "string" || !words.includes(value)) {
    refuse(field, `be one of ${words.join(", ")}`, value);
  }
  return value;
}

/** The value as a list of strings. */
export function strings(value: unknown, field: string): readonly string[] {
  const items = list(value, field);
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    if (typeof item !== "string" || item.includes("\0")) text(item, `${field}[${i}]`);
  }
  return items as readonly string[];
}

/** The value as an object whose values are strings. */
export function stringMap(value: unknown, field: string): Readonly<Record<string, string>> {
  const fields = object(value, field);
  for (const key of Object.keys(fields)) {
    if (key === "") fail(`${field} has an empty name`);
    text(fields[key], `${field}[${JSON.stringify(key)}]`);
  }
  return fields as Readonly<Record<string, string>>;
}

/** Asks of each item of a list, with the item's path. */
export function each(
  value: unknown,
  field: string,
  ask: (item: unknown, field: string) => void,
): readonly unknown[] {
  const items = list(value, field);
  for (let i = 0; i < items.length; i++) ask(items[i], `${field}[${i}]`);
  return items;
}

// The same questions of a field that may be left out.

/** A field that is true or false, or left out. */
export function optionalBoolean(fields: Fields, key: string, where: string): boolean | undefined {
  const value = fields[key];
  if (value === undefined || typeof value === "boolean") return value;
  refuse(at(where, key), "be true or false", value);
}

/** A string, or left out. */
export function optionalText(fields: Fields, key: string, where: string): string | undefined {
  const value = fields[key];
  return value === undefined ? undefined : text(value, at(where, key));
}

/** A list of strings, or left out. */
export function optionalStrings(
  fields: Fields,
  key: string,
  where: string,
): readonly string[] | undefined {
  const value = fields[key];
  return value === undefined ? undefined : strings(value, at(where, key));
}

/** A whole number in a range, or left out. */
export function optionalInteger(
  fields: Fields,
  key: string,
  where: string,
  min: number,
  max: number,
): number | undefined {
  const value = fields[key];
  return value === undefined ? undefined : integer(value, at(where, key), min, max);
}

/** One of some words, or left out. */
export function optionalWord(
  fields: Fields,
  key: string,
  where: string,
  words: readonly string[],
): string | undefined {
  const value = fields[key];
  return value === undefined ? undefined : oneOf(value, at(where, key), words);
}

/**
 * Asks of a field unless it is left out. What few configs have is asked for through this: a
 * function that is never called is never compiled, and a cold start is mostly compiling.
 */
export function given(
  fields: Fields,
  key: string,
  where: string,
  ask: (value: unknown, field: string) => void,
): void {
  const value = fields[key];
  if (value !== undefined) ask(value, at(where, key));
}

/** An object, or left out. */
export function optionalObject(fields: Fields, key: string, where: string): Fields | undefined {
  const value = fields[key];
  return value === undefined ? undefined : object(value, at(where, key));
}

/** A list each of whose items is asked, or left out. */
export function optionalEach(
  fields: Fields,
  key: string,
  where: string,
  ask: (item: unknown, field: string) => void,
): readonly unknown[] | undefined {
  const value = fields[key];
  return value === undefined ? undefined : each(value, at(where, key), ask);
}

/** A list of CPUs or memory nodes, cpuset(7): `0-3,7`. Empty is as good as left out. */
export function cpuList(fields: Fields, key: string, where: string): void {
  const value = fields[key];
  if (value === undefined) return;
  const ranges = text(value, at(where, key)).replaceAll(" ", "");
  if (ranges === "") return;
  for (const range of ranges.split(",")) {
    const match = /^(\d{1,6})(?:-(\d{1,6})(?::\d+\/\d+)?)?$/.exec(range);
    if (match === null || (match[2] !== undefined && Number(match[2]) < Number(match[1]))) {
      refuse(at(where, key), 'be a list like "0-3,7"', value);
    }
  }
}
