/**
 * The word most like a given one, for "did you mean"; undefined when none is.
 *
 * @example
 * ```ts
 * import { nearest } from "./nearest.ts";
 * if (nearest("net_admn", ["net_raw", "net_admin"]) !== "net_admin") throw new Error();
 * ```
 */
export function nearest(word: string, words: Iterable<string>): string | undefined {
  if (word.length > 64) return undefined; // like none of ours, and dear to compare
  let found: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 4)) + 1;
  for (const candidate of words) {
    if (Math.abs(candidate.length - word.length) >= least) continue;
    const edits = distance(word, candidate);
    if (edits < least) {
      least = edits;
      found = candidate;
    }
  }
  return found;
}

/** How many letters must be put in, left out or changed. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const changed = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}
