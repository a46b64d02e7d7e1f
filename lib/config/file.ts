/**
 * Configuration files: TOML to entries, each with the line that it stands on. Loaded only when
 * there is a file, or when there is a mistake to explain.
 *
 * @module
 */
import { parse, TomlError } from "smol-toml";
import { CrateError } from "../errors.ts";
import { isKey, keys } from "./keys.ts";
import { keyLines, pathName } from "./lines.ts";
import type { Entry } from "./load.ts";
import { nearest } from "./near.ts";

/**
 * Reads a file's text. The values are as TOML gives them; whether their keys can hold them is not
 * checked.
 *
 * @throws {CrateError} `INVALID` for what is no TOML, and for an unknown key.
 */
export function readEntries(path: string, text: string): Entry[] {
  const document = parseDocument(path, text);
  const lines = keyLines(text, (quoted) => Object.keys(parse(`${quoted} = 0`))[0]!);
  const entries: Entry[] = [];
  const walk = (table: object, above: readonly string[]): void => {
    for (const [name, value] of Object.entries(table)) {
      const here = [...above, name];
      const origin = `${path}:${lines.get(pathName(here))}`;
      const key = here.map((part) => part.includes(".") ? JSON.stringify(part) : part).join(".");
      if (isKey(key)) entries.push({ key, value, origin });
      else if (!tableNames().includes(key)) throw unknownName("key", key, candidates(), origin);
      else if (isTable(value)) walk(value, here);
      else throw new CrateError("INVALID", `${origin}: ${key} must be a table, as in [${key}]`);
    }
  };
  walk(document, []);
  return entries;
}

/** The error for a name that is not known, with the near one that may have been meant. */
export function unknownName(
  what: string,
  name: string,
  known: readonly string[],
  origin?: string,
): CrateError {
  const near = nearest(name, known);
  const place = origin === undefined ? "" : `${origin}: `;
  const hint = near === undefined
    ? "see crate config for all that there are"
    : `did you mean ${JSON.stringify(near)}?`;
  return new CrateError("INVALID", `${place}unknown ${what} ${JSON.stringify(name)} (${hint})`);
}

function parseDocument(path: string, text: string): object {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [reason] = error.message.replace("Invalid TOML document: ", "").split("\n");
    throw new CrateError("INVALID", `${path}:${error.line}: not valid TOML: ${reason}`, {
      cause: error,
    });
  }
}

function isTable(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Date);
}

function tableNames(): string[] {
  return Object.keys(keys).filter((key) => key.includes(".")).map((key) => key.split(".")[0]!);
}

function candidates(): string[] {
  return [...Object.keys(keys), ...tableNames()];
}
