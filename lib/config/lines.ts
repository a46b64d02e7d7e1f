/**
 * Where a TOML document sets what. The parser gives values without places, so this walks over a
 * document that has already been parsed, and therefore need not judge it, and notes its keys.
 * Grammar: TOML 1.0.0 and 1.1.0, https://toml.io/en/v1.0.0.
 *
 * @module
 */

/** Turns a quoted key, quotes included, into what it stands for. */
type Unquote = (quoted: string) => string;

/** A path of keys as one word that no other path has. */
export function pathName(path: readonly string[]): string {
  return JSON.stringify(path);
}

/**
 * The line, counted from 1, of each table and each key of a document by its
 * {@linkcode pathName}: of its first mention, should there be several. What stands between the
 * brackets of an array is left out.
 *
 * @example
 * ```ts
 * import { keyLines, pathName } from "./lines.ts";
 * const lines = keyLines("[log]\nlevel = 'info'\n", (quoted) => quoted.slice(1, -1));
 * if (lines.get(pathName(["log", "level"])) !== 2) throw new Error("level stands on line 2");
 * ```
 */
export function keyLines(text: string, unquote: Unquote): ReadonlyMap<string, number> {
  const lines = new Map<string, number>();
  let at = 0;

  function note(path: readonly string[], index: number): void {
    const line = text.slice(0, index).split("\n").length;
    for (let depth = 1; depth <= path.length; depth++) {
      const name = pathName(path.slice(0, depth));
      if (!lines.has(name)) lines.set(name, line);
    }
  }

  /** Goes to where `pattern` ends, if it matches here, and returns what it matched. */
  function take(pattern: RegExp): string {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? "";
    at += found.length;
    return found;
  }

  function key(): string[] {
    const path: string[] = [];
    do {
      take(/[ \t]*/y);
      const quoted = take(/"(?:[^"\\\n]|\\.)*"|'[^'\n]*'/y);
      path.push(quoted ? unquote(quoted) : take(/[^\s.=\]"'#]+/y));
      take(/[ \t]*/y);
    } while (take(/\./y));
    return path;
  }

  /** `path`: of the table that it is in; none in an array. */
  function pair(path: readonly string[] | undefined): void {
    const start = at;
    const full = [...path ?? [], ...key()];
    if (path) note(full, start);
    take(/=[ \t]*/y);
    value(path && full);
  }

  function value(path: readonly string[] | undefined): void {
    const string =
      /"""(?:[^\\]|\\[^])*?"""(?:"{1,2})?|'''[^]*?'''(?:'{1,2})?|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'/y;
    if (take(string)) return;
    if (take(/\[/y)) {
      while (take(BLANK), !take(/\]/y)) {
        value(undefined);
        take(BLANK);
        take(/,/y);
      }
    } else if (take(/\{/y)) {
      while (take(BLANK), !take(/\}/y)) {
        pair(path);
        take(BLANK);
        take(/,/y);
      }
    } else take(/[^,\]}#\n]+/y);
  }

  const BLANK = /(?:\s|#[^\n]*)*/y;
  let table: readonly string[] | undefined = [];
  while (take(BLANK), at < text.length) {
    const start = at;
    if (take(/\[\[?/y)) {
      table = key();
      note(table, start);
      take(/\]\]?/y);
    } else pair(table);
    if (at === start) break;
  }
  return lines;
}
