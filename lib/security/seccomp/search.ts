import { type Assembler, JEQ, JGE, type Target } from "./assembler.ts";
import type { Section, Verdict } from "./ranges.ts";

/** So many single calls that differ from their surroundings are asked for one by one. */
const SINGLES = 2;

/** Neighbouring runs: one verdict, and single calls among them that have another. */
interface Group {
  readonly start: number;
  readonly verdict: Verdict;
  readonly singles: readonly { readonly call: number; readonly verdict: Verdict }[];
  /** The run after its last one. */
  readonly next: number;
}

/**
 * The code that finds the verdict of the number in the accumulator: a balanced search for its group, then
 * a comparison for each single call.
 */
export function assembleSearch(
  code: Assembler,
  section: Section,
  assembleVerdict: (verdict: Verdict) => Target,
): Target {
  const groups: Group[] = [];
  for (let run = 0; run < section.starts.length; run = groups.at(-1)!.next) {
    const one = gather(section, run, section.verdicts[run]!);
    const other = gather(section, run, section.verdicts[run + 1] ?? one.verdict);
    groups.push(other.next > one.next ? other : one);
  }
  const search = (first: number, last: number): Target => {
    if (first < last) {
      const middle = (first + last + 1) >> 1;
      const right = search(middle, last);
      const left = search(first, middle - 1);
      return code.branch(JGE, groups[middle]!.start, right, left);
    }
    const { verdict, singles } = groups[first]!;
    let next = assembleVerdict(verdict);
    for (let i = singles.length - 1; i >= 0; i--) {
      const single = singles[i]!;
      next = code.branch(JEQ, single.call, assembleVerdict(single.verdict), next);
    }
    return next;
  };
  return search(0, groups.length - 1);
}

/** The longest group from a run on whose other calls than singles have the verdict. */
function gather({ starts, verdicts }: Section, first: number, verdict: Verdict): Group {
  const singles: { call: number; verdict: Verdict }[] = [];
  let next = first;
  for (; next < starts.length; next++) {
    if (verdicts[next] === verdict) continue;
    const end = starts[next + 1] ?? 2 ** 32;
    if (end - starts[next]! + singles.length > SINGLES) break;
    for (let call = starts[next]!; call < end; call++) {
      singles.push({ call, verdict: verdicts[next]! });
    }
  }
  return { start: starts[first]!, verdict, singles, next };
}
