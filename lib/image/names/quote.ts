const MAX = 120;

/**
 * A stranger's text for a message: in quotes, at most 120 characters of it, and nothing in it that moves a terminal's
 * cursor or turns its direction.
 *
 * @example
 * ```ts
 * import { quote } from "./quote.ts";
 * if (quote("a\x1b[2J") !== '"a\\u{1b}[2J"') throw new Error();
 * ```
 */
export function quote(text: string): string {
  const short = text.length > MAX ? `${text.slice(0, MAX)}…` : text;
  const safe = short.replace(
    /["\\\p{C}\u2028\u2029]/gu,
    (c) => c === '"' || c === "\\" ? `\\${c}` : `\\u{${c.codePointAt(0)!.toString(16)}}`,
  );
  return `"${safe}"`;
}
