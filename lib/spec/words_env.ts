/**
 * Environment variables as fingers and files give them.
 *
 * @module
 */
import { CrateError } from "../errors.ts";

/**
 * The variables of a file, one a line, as docker reads it: `NAME=VALUE` as it stands, quotes and
 * all; `NAME` alone for one to inherit; empty lines and those that start with `#` do not count.
 *
 * @param file The file's name, for errors.
 * @returns Words for {@linkcode resolveEnv}.
 * @throws {CrateError} `INVALID`, naming file and line.
 *
 * @example
 * ```ts
 * import { parseEnvFile } from "./mod.ts";
 * const words = parseEnvFile("# comment\nA=b c\nTERM\n", "vars");
 * if (words.join("|") !== "A=b c|TERM") throw new Error("two words");
 * ```
 */
export function parseEnvFile(text: string, file: string): string[] {
  const words: string[] = [];
  const lines = text.replace(/^\uFEFF/, "").split("\n");
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!.replace(/\r$/, "").replace(/^\s+/, "");
    if (line === "" || line.startsWith("#")) continue;
    const word = line.includes("=") ? line : line.trimEnd();
    const problem = problemOf(word);
    if (problem !== undefined) throw new CrateError("INVALID", `${file}:${i + 1}: ${problem}`);
    words.push(word);
  }
  return words;
}

/**
 * Variables in full: `NAME=VALUE` as it stands, `NAME` with the value it has here, or not at all
 * where it has none. Of two with one name the later counts, in the place of the earlier.
 *
 * @param inherit Tells a variable's value, as `Deno.env.get` does.
 * @throws {CrateError} `INVALID`.
 */
export function resolveEnv(
  words: readonly string[],
  inherit: (name: string) => string | undefined,
  option = "--env",
): string[] {
  const found = new Map<string, string>();
  for (const word of words) {
    const problem = problemOf(word);
    if (problem !== undefined) throw new CrateError("INVALID", `${option}: ${problem}`);
    const equals = word.indexOf("=");
    if (equals > 0) {
      found.set(word.slice(0, equals), word);
      continue;
    }
    const value = inherit(word);
    if (value !== undefined) found.set(word, `${word}=${value}`);
  }
  return [...found.values()];
}

function problemOf(word: string): string | undefined {
  const name = word.split("=", 1)[0]!;
  if (name === "") return `no variable's name in ${JSON.stringify(word)}: NAME=VALUE or NAME`;
  if (/\s/.test(name)) return `white space in a variable's name, ${JSON.stringify(name)}`;
  if (word.includes("\0")) return `a NUL character in the variable ${JSON.stringify(name)}`;
  return undefined;
}
