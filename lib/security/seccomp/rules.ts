import type { LinuxSeccomp } from "../../spec/mod.ts";
import {
  type Abi,
  callTable,
  LAST_CALL,
  type Machine,
  MULTIPLEXERS,
  NO_CALL,
  PRIVATE,
} from "./abi.ts";
import {
  ANSWER_MISSING,
  ANSWER_NOTIFY,
  answerOf,
  type Condition,
  readAlternatives,
} from "./words.ts";

/** When all conditions hold, the answer. */
export interface Rule {
  readonly id: number;
  readonly conditions: readonly Condition[];
  readonly answer: number;
}

/** What an ABI answers. */
export interface Verdicts {
  readonly abi: Abi;
  /** By table entry: 0 nothing, from 1 the place in `answers`, below 0 `~i` for `lists[i]`. */
  readonly calls: Int16Array;
  /** Rules with conditions, in their order. */
  readonly lists: Rule[][];
  /** The highest call that the profile names at all, -1 if none; arm's private ones do not count. */
  last: number;
}

/** A profile as it applies to a machine. */
export interface Resolved {
  /** The answers of whole calls; the first is the default. */
  readonly answers: readonly number[];
  /** Whether calls newer than the newest one named are missing, so that programs try an older way. */
  readonly newerIsMissing: boolean;
  /** Whether a call can be answered by `SCMP_ACT_NOTIFY`. */
  readonly notifies: boolean;
  readonly abis: readonly Verdicts[];
}

/** A rule of the profile: its answer's place, and its alternatives if it has `args`. */
interface ProfileRule {
  readonly names: readonly string[];
  readonly place: number;
  readonly alternatives: readonly Condition[][] | undefined;
}

/**
 * Finds what each call of each ABI gets, by the rules that runc and libseccomp apply:
 * a rule with the default's own action says nothing; a name that no ABI knows says nothing; a rule
 * without `args` overrules those with, and the first of them stands; among rules with `args` the first
 * whose tests all hold decides.
 */
export function resolveRules(
  profile: LinuxSeccomp,
  machine: Machine,
  abis: readonly Abi[],
): Resolved {
  const { defaultAction, defaultErrnoRet } = profile;
  const answers = [answerOf(defaultAction, defaultErrnoRet, "linux.seccomp.defaultAction")];
  const rules = (profile.syscalls ?? []).map(
    ({ names, action, errnoRet, args }, i): ProfileRule => {
      const field = `linux.seccomp.syscalls[${i}]`;
      const answer = answerOf(action, errnoRet, `${field}.action`);
      const known = answers.indexOf(answer);
      const place = known >= 0 ? known : answers.push(answer) - 1;
      const alternatives = args?.length ? readAlternatives(args, `${field}.args`) : undefined;
      return { names, place, alternatives };
    },
  );
  const table = callTable(machine);
  const verdicts = abis.map((abi): Verdicts => (
    { abi, calls: new Int16Array(NO_CALL + 1), lists: [], last: -1 }
  ));
  // The last rule first, so that the first one has the last word.
  for (let i = rules.length - 1; i >= 0; i--) {
    const { names, place, alternatives } = rules[i]!;
    if (place > 0 && alternatives === undefined) markCalls(names, table, verdicts, place);
  }
  addConditional(rules, answers, table, verdicts);
  for (const verdict of verdicts) {
    verdict.calls[NO_CALL] = 0; // where the names went that an ABI does not know
    verdict.last = lastNamed(verdict, rules, table);
  }
  const permissive = defaultAction === "SCMP_ACT_ALLOW" || defaultAction === "SCMP_ACT_LOG" ||
    defaultAction === "SCMP_ACT_TRACE";
  const notify = answers.indexOf(ANSWER_NOTIFY);
  const notifies = notify === 0 ||
    notify > 0 &&
      verdicts.some(({ calls, lists }) =>
        calls.includes(notify) || lists.flat().some(({ answer }) => answer === ANSWER_NOTIFY)
      );
  return {
    answers,
    newerIsMissing: !permissive && answers[0] !== ANSWER_MISSING,
    notifies,
    abis: verdicts,
  };
}

/** The one loop that sees every name: kept so plain because it runs once, before it is compiled. */
function markCalls(
  names: readonly string[],
  table: ReadonlyMap<string, number>,
  verdicts: readonly Verdicts[],
  place: number,
): void {
  const columns = [0, 10, 20].map((shift) =>
    verdicts.find(({ abi }) => abi.shift === shift)?.calls ?? new Int16Array(NO_CALL + 1)
  );
  const [first, second, third] = columns as [Int16Array, Int16Array, Int16Array];
  for (let i = 0; i < names.length; i++) {
    const entry = table.get(names[i]!);
    if (entry === undefined) continue;
    first[entry & NO_CALL] = place;
    second[entry >> 10 & NO_CALL] = place;
    third[entry >> 20 & NO_CALL] = place;
  }
}

function addConditional(
  rules: readonly ProfileRule[],
  answers: readonly number[],
  table: ReadonlyMap<string, number>,
  verdicts: readonly Verdicts[],
): void {
  let next = 0;
  const number = (alternatives: readonly Condition[][], place: number) =>
    alternatives.map((conditions): Rule => ({ id: next++, conditions, answer: answers[place]! }));
  for (const { names, place, alternatives } of rules) {
    if (place === 0 || alternatives === undefined) continue;
    const numbered = number(alternatives, place);
    for (const name of names) {
      const entry = table.get(name);
      if (entry === undefined) continue;
      for (const verdict of verdicts) {
        addRules(verdict, entry >> verdict.abi.shift & NO_CALL, numbered);
      }
    }
  }
  const verdict = verdicts.find(({ abi }) => abi.multiplexes);
  if (verdict === undefined) return;
  for (const { call, mask, selectors } of MULTIPLEXERS) {
    if (verdict.calls[call]! > 0) continue;
    for (const { names, place, alternatives = [[]] } of rules) {
      if (place === 0) continue;
      for (const name of names) {
        if (!Object.hasOwn(selectors, name)) continue;
        const low = selectors[name]!;
        // The first argument selects, whatever the rule says of it; the others are compared as they are.
        const selecting = alternatives.map((conditions): Condition[] => [
          { index: 0, op: "SCMP_CMP_MASKED_EQ", high: 0, low, maskHigh: 0, maskLow: mask },
          ...conditions.filter(({ index }) => index !== 0),
        ]);
        addRules(verdict, call, number(selecting, place));
      }
    }
  }
}

function addRules({ calls, lists }: Verdicts, call: number, rules: readonly Rule[]): void {
  if (call === NO_CALL || calls[call]! > 0) return;
  if (calls[call] === 0) calls[call] = ~(lists.push([]) - 1);
  lists[~calls[call]!]!.push(...rules);
}

function lastNamed(
  { abi, calls }: Verdicts,
  rules: readonly ProfileRule[],
  table: ReadonlyMap<string, number>,
): number {
  let last = LAST_CALL;
  while (last >= 0 && calls[last] === 0) last--;
  for (const { names, place } of rules) {
    if (place !== 0) continue;
    for (const name of names) {
      const call = (table.get(name) ?? -1) >> abi.shift & NO_CALL;
      if (call > last && call < PRIVATE) last = call;
    }
  }
  return last;
}
