import { CrateError } from "../errors.ts";

/**
 * A time as people write it: `2026-01-31T12:00:00Z`, seconds since 1970, or a span before now, `10m`.
 *
 * @param option what it was given to.
 * @throws {CrateError} `INVALID`
 *
 * @example
 * ```ts
 * import { parseMoment } from "./moment.ts";
 * if (parseMoment("60", "--since").getTime() !== 60_000) throw new Error();
 * if (parseMoment("1h", "--since").getTime() > Date.now() - 3_600_000) throw new Error();
 * ```
 */
export function parseMoment(word: string, option: string): Date {
  const span = /^(\d+)(s|m|h|d)$/.exec(word);
  if (span) {
    const seconds = { s: 1, m: 60, h: 3600, d: 86400 }[span[2] as "s" | "m" | "h" | "d"];
    return new Date(Date.now() - Number(span[1]) * seconds * 1000);
  }
  const date = /^\d+(\.\d+)?$/.test(word) ? new Date(Number(word) * 1000) : new Date(word);
  if (!Number.isNaN(date.getTime())) return date;
  throw new CrateError(
    "INVALID",
    `${option} ${word}: it is a time (2026-01-31T12:00:00Z), seconds since 1970, or a span (10m)`,
  );
}
