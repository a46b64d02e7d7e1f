/**
 * What a configuration's value may be.
 *
 * @module
 */
import { CrateError } from "../errors.ts";
import { isPath, type Key, keys, type KeyTable } from "./keys.ts";

/**
 * Checks a value as TOML gives it, and returns what the key then holds.
 *
 * @param where What the sentence of an error begins with: the place and the key.
 * @throws {CrateError} `INVALID` when the key cannot hold such a value.
 */
export function checkValue(key: Key, value: unknown, where: string): unknown {
  const table: KeyTable = keys[key];
  const checked = accept(table, value);
  if (checked === REFUSED) {
    throw new CrateError("INVALID", `${where} must be ${expectation(table)}, got ${show(value)}`);
  }
  return checked;
}

/** The value that a text from the environment or the command line stands for, unchecked. */
export function valueOfText(key: Key, text: string): unknown {
  switch (keys[key].kind) {
    case "path":
      // A file names its paths in full; fingers need not. No path at all is not the working directory.
      return text === "" || text.startsWith("/")
        ? text
        : `${Deno.cwd()}/${text.replace(/^(\.\/+)+/, "")}`;
    case "flag":
      return text === "true" ? true : text === "false" ? false : text;
    case "limit":
      return /^\d+$/.test(text) ? Number(text) : text;
    case "capabilities":
    case "registries":
      return text.split(",").map((each) => each.trim());
    case "mirrors":
      return mirrorsOfText(text);
    default:
      return text;
  }
}

const REFUSED = Symbol("refused");

function accept(table: KeyTable, value: unknown): unknown {
  switch (table.kind) {
    case "path":
      return typeof value === "string" && isPath(value) ? value : REFUSED;
    case "cgroup":
      return matches(value, /^(\/(?!\.{1,2}(\/|$))[^/\0\n]+)+$/);
    case "interface":
      // dev_valid_name() in the kernel's net/core/dev.c; IFNAMSIZ is 16 with the final NUL.
      return matches(value, /^(?!\.{1,2}$)[!-.0-9;-~]{1,15}$/);
    case "address":
      return isAddress(value) ? value : REFUSED;
    case "subnet": {
      const [, address, prefix] = typeof value === "string"
        ? value.match(/^(.*)\/(\d|[12]\d|3[0-2])$/) ?? []
        : [];
      return prefix !== undefined && isAddress(address) ? value : REFUSED;
    }
    case "choice":
      return table.choices.find((each) => each === value) ?? REFUSED;
    case "flag":
      return typeof value === "boolean" ? value : REFUSED;
    case "bytes":
      return acceptBytes(value);
    case "capabilities":
      return Array.isArray(value) && value.every((each) => matches(each, /^[A-Za-z_]+$/) === each)
        ? value
        : REFUSED;
    case "registries":
      return isListOf(value, HOST) ? value : REFUSED;
    case "mirrors":
      // smol-toml's tables have no prototype.
      return isMirrors(value) ? { ...value } : REFUSED;
    case "limit":
      // 0 takes away a limit that an earlier file has set.
      if (value === 0) return undefined;
      return Number.isSafeInteger(value) && Number(value) >= table.least &&
          Number(value) <= (table.most ?? Infinity)
        ? value
        : REFUSED;
  }
}

function expectation(table: KeyTable): string {
  switch (table.kind) {
    case "path":
      return "an absolute path";
    case "cgroup":
      return 'a path in the cgroup tree, such as "/crate"';
    case "interface":
      return "a network interface's name, of 1 to 15 characters without / or : or spaces";
    case "address":
      return 'an IPv4 address, such as "10.88.0.1"';
    case "subnet":
      return 'an IPv4 subnet, such as "10.88.0.0/16"';
    case "choice":
      return `${table.choices.slice(0, -1).join(", ")} or ${table.choices.at(-1)}`;
    case "flag":
      return "true or false";
    case "bytes":
      return 'a number of bytes, such as 536870912 or "512m" (0: not set)';
    case "capabilities":
      return 'a list of capabilities, such as ["CAP_NET_RAW"]';
    case "registries":
      return 'a list of registries, such as ["registry.example:5000"]';
    case "mirrors":
      return 'lists of mirrors by registries, such as { "docker.io" = ["mirror.example"] }';
    case "limit": {
      const range = table.most === undefined
        ? `at least ${table.least}`
        : `${table.least} to ${table.most}`;
      return `a whole number of ${table.unit}, ${range} (0: not set)`;
    }
  }
}

function matches(value: unknown, pattern: RegExp): unknown {
  return typeof value === "string" && pattern.test(value) ? value : REFUSED;
}

/** A registry's name with or without a port, and a mirror's, which may be a part of a registry. */
const HOST = /^([\w.-]+|\[[0-9a-f:]+\])(:\d{1,5})?$/i;
const MIRROR = /^(https?:\/\/)?([\w.-]+|\[[0-9a-f:]+\])(:\d{1,5})?(\/[\w.\/-]*)?$/i;

function isListOf(value: unknown, pattern: RegExp): boolean {
  return Array.isArray(value) && value.every((each) => matches(each, pattern) === each);
}

function isMirrors(value: unknown): value is Record<string, readonly string[]> {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Date) &&
    Object.entries(value).every(([host, list]) => HOST.test(host) && isListOf(list, MIRROR));
}

/** `docker.io=one.example,docker.io=two.example` */
function mirrorsOfText(text: string): unknown {
  const mirrors: Record<string, string[]> = {};
  for (const word of text.split(",")) {
    const [, host, mirror] = /^\s*([^=]+)=(.*?)\s*$/.exec(word) ?? [];
    if (host === undefined || mirror === undefined) return text;
    (mirrors[host] ??= []).push(mirror);
  }
  return mirrors;
}

function isAddress(value: unknown): boolean {
  return typeof value === "string" && /^\d{1,3}(\.\d{1,3}){3}$/.test(value) &&
    value.split(".").every((part) => String(Number(part)) === part && Number(part) < 256);
}

// Half a byte is not a size: a fraction needs a unit.
const BYTES = /^(\d+|\d+\.\d+(?= ?[kmgtp])) ?(?:([kmgtp])(?:i?b)?|b)?$/i;

/** The sizes that `--memory` takes, but for fractions of a byte: `512m` is 512 * 2^20. */
function acceptBytes(value: unknown): unknown {
  if (typeof value !== "string" && typeof value !== "number") return REFUSED;
  const [, number, unit] = String(value).match(BYTES) ?? [];
  if (number === undefined) return REFUSED;
  const size = Math.floor(
    Number(number) * 1024 ** (unit ? "bkmgtp".indexOf(unit.toLowerCase()) : 0),
  );
  if (!Number.isSafeInteger(size)) return REFUSED;
  return size === 0 ? undefined : size;
}

function show(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  if (typeof value === "object") return "a table";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
