/**
 * The candidate that a word was probably meant to be, or nothing when none is near.
 *
 * A candidate is near when at most a third of the letters (and at most three) must be changed,
 * added, left out or swapped with their neighbour; or when the word is the candidate without what
 * stands before its dot.
 *
 * @example
 * ```ts
 * import { nearest } from "./near.ts";
 * if (nearest("log.levle", ["log.level", "log.file"]) !== "log.level") throw new Error();
 * ```
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.min(3, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = candidate.endsWith(`.${word}`) ? 1 : editDistance(word, candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** Optimal string alignment: an insertion, deletion, substitution or swap of neighbours costs 1. */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= a.length; row++) {
    const line = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(
        line[column - 1]! + 1,
        rows[row - 1]![column]! + 1,
        rows[row - 1]![column - 1]! + (same ? 0 : 1),
      );
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, rows[row - 2]![column - 2]! + 1);
      }
      line.push(cost);
    }
    rows.push(line);
  }
  return rows[a.length]![b.length]!;
}
