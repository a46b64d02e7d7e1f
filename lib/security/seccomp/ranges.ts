import { type Abi, callNumber, PRIVATE } from "./abi.ts";
import type { Resolved, Rule } from "./rules.ts";
import { ANSWER_FOREIGN, ANSWER_MISSING, type Condition } from "./words.ts";

/** Rules over a call's arguments, in their order. */
export interface Chain {
  readonly rules: readonly Rule[];
  /** Whether arguments are compared in all their 64 bits. */
  readonly wide: boolean;
}

/** What a run of numbers gets: from 0 a `SECCOMP_RET_*` value, below 0 `~i` for chain number i. */
export type Verdict = number;

/** All 2^32 numbers under one `AUDIT_ARCH_*`, cut where the verdict changes. */
export interface Section {
  readonly audit: number;
  /** The first number of each run, ascending from 0. */
  readonly starts: number[];
  readonly verdicts: Verdict[];
}

/** `__X32_SYSCALL_BIT`, and the first number past those that have it and are not negative. */
const X32_BIT = 0x40000000;
const X32_END = 0x80000000;
const AUDIT_ARCH_X86_64 = 0xc000003e;

/** Cuts the numbers of each `AUDIT_ARCH_*` into runs of calls that get the same. */
export function cutRanges(resolved: Resolved): { sections: Section[]; chains: Chain[] } {
  const sections: Section[] = [];
  const chains: Chain[] = [];
  const chainIds = new Map<string, Verdict>();
  const chainOf = (rules: readonly Rule[], abi: Abi): Verdict => {
    const wide = abi.wide && rules.some(({ conditions }) => conditions.some(comparesUpperHalf));
    const key = `${wide} ${rules.map((rule) => rule.id)}`;
    let id = chainIds.get(key);
    if (id === undefined) chainIds.set(key, id = ~(chains.push({ rules, wide }) - 1));
    return id;
  };
  const { answers, newerIsMissing } = resolved;
  const otherwise = answers[0]!;
  for (const { abi, calls, lists, last } of resolved.abis) {
    let section = sections.find(({ audit }) => audit === abi.audit);
    if (section === undefined) {
      sections.push(section = { audit: abi.audit, starts: [], verdicts: [] });
    }
    const beyond = newerIsMissing && last >= 0 ? ANSWER_MISSING : otherwise;
    const verdictOf = (code: number) => code < 0 ? chainOf(lists[~code]!, abi) : answers[code]!;
    let before: number | undefined;
    for (let call = 0; call <= last; call++) {
      const code = calls[call]!;
      if (code === before) continue;
      before = code;
      add(section, abi.bit + call, verdictOf(code));
    }
    add(section, abi.bit + last + 1, beyond);
    if (abi.privates !== undefined) {
      for (let call = PRIVATE + 1; call <= PRIVATE + abi.privates; call++) {
        add(section, callNumber(call), verdictOf(calls[call]!));
      }
      add(section, callNumber(PRIVATE + abi.privates + 1), beyond);
    }
    if (abi.audit !== AUDIT_ARCH_X86_64) continue;
    if (abi.bit === 0) add(section, X32_BIT, ANSWER_FOREIGN);
    add(section, X32_END, beyond);
  }
  return { sections, chains };
}

function comparesUpperHalf({ op, high, maskHigh }: Condition): boolean {
  return op !== "SCMP_CMP_MASKED_EQ" || maskHigh !== 0 || high !== 0;
}

/** Lets a verdict hold from a number on, instead of what held there. */
function add({ starts, verdicts }: Section, start: number, verdict: Verdict): void {
  while (starts.length > 0 && starts.at(-1)! >= start) {
    starts.pop();
    verdicts.pop();
  }
  if (verdicts.at(-1) === verdict) return;
  starts.push(start);
  verdicts.push(verdict);
}
