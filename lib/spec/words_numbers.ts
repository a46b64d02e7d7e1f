/**
 * Numbers as fingers type them: sizes, processors, counts.
 *
 * @module
 */
import { CrateError } from "../errors.ts";

/** Throws `INVALID`: `--memory "512q" <what is wrong>`. */
export function wrongWord(option: string, word: string, problem: string): never {
  throw new CrateError("INVALID", `${option} ${JSON.stringify(word)} ${problem}`);
}

const UNITS = "bkmgtp";

/**
 * A size in bytes: a number and a unit of 1024s, as docker reads them: `512m`, `1.5g`, `64kb`,
 * `10MiB`, `4096`. A fraction of a byte is cut off.
 *
 * @param option The option's name, for errors.
 * @throws {CrateError} `INVALID` for anything else and from 2^53 bytes on.
 *
 * @example
 * ```ts
 * import { parseSize } from "./mod.ts";
 * if (parseSize("512m", "--memory") !== 512 * 1024 * 1024) throw new Error("512m");
 * ```
 */
export function parseSize(word: string, option: string): number {
  const match = /^(\d+(?:\.\d*)?|\.\d+) ?(?:([kmgtp])(?:i?b)?|b)?$/i.exec(word);
  if (match === null) {
    wrongWord(option, word, "is not a size: a number and b, k, m, g, t or p, such as 512m");
  }
  const unit = UNITS.indexOf((match[2] ?? "b").toLowerCase());
  const bytes = Math.trunc(Number(match[1]) * 1024 ** unit);
  if (!Number.isSafeInteger(bytes)) wrongWord(option, word, "is too large a size");
  return bytes;
}

/**
 * As {@linkcode parseSize}, and `-1` for no limit.
 *
 * @throws {CrateError} `INVALID`.
 */
export function parseSizeOrUnlimited(word: string, option: string): number {
  return word === "-1" ? -1 : parseSize(word, option);
}

/**
 * A number of processors, 0.01 or more: `1.5`, `.5`, `2`.
 *
 * @throws {CrateError} `INVALID`.
 */
export function parseCpus(word: string, option = "--cpus"): number {
  const cpus = /^(?:\d{1,6}(?:\.\d{0,9})?|\.\d{1,9})$/.test(word) ? Number(word) : NaN;
  if (!(cpus >= 0.01)) {
    wrongWord(option, word, "is not a number of processors: 0.01 or more, such as 1.5");
  }
  return cpus;
}

/**
 * A whole number from `min` to `max`, both included, in decimal.
 *
 * @throws {CrateError} `INVALID`.
 */
export function parseInteger(word: string, option: string, min: number, max: number): number {
  const number = /^-?\d{1,20}$/.test(word) ? Number(word) : NaN;
  if (!(number >= min && number <= max)) {
    const range = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `from ${min} to ${max}`;
    wrongWord(option, word, `is not a whole number, ${range}`);
  }
  // Not -0, which a JSON text would lose and Object.is would see.
  return number === 0 ? 0 : number;
}
