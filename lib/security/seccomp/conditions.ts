import { type Assembler, JEQ, JGE, JGT, type Target } from "./assembler.ts";
import type { Chain } from "./ranges.ts";
import type { Rule } from "./rules.ts";
import type { Condition } from "./words.ts";

/** `offsetof(struct seccomp_data, args)`; each argument eight bytes, the lower half first. */
const ARGUMENTS = 16;

/** The code that tries rules in their order: the first that applies answers, else it goes on. */
export function assembleChain(code: Assembler, { rules, wide }: Chain, otherwise: Target): Target {
  let next = otherwise;
  for (let i = rules.length - 1; i >= 0; i--) next = assembleRule(code, rules[i]!, wide, next);
  return next;
}

function assembleRule(code: Assembler, rule: Rule, wide: boolean, otherwise: Target): Target {
  let next = code.answer(rule.answer);
  for (let i = rule.conditions.length - 1; i >= 0; i--) {
    next = assembleCondition(code, rule.conditions[i]!, wide, next, otherwise);
  }
  return next;
}

function assembleCondition(
  code: Assembler,
  { index, op, high, low, maskHigh, maskLow }: Condition,
  wide: boolean,
  yes: Target,
  no: Target,
): Target {
  const lowAt = ARGUMENTS + 8 * index;
  const highAt = lowAt + 4;
  /** The test whose answer is known from the halves' order: greater in the upper, or equal and so in the lower. */
  const ordered = (lowCode: number, yes: Target, no: Target): Target => {
    const lower = code.load(lowAt, code.branch(lowCode, low, yes, no));
    if (!wide) return lower;
    const equal = code.branch(JEQ, high, lower, no);
    return code.load(highAt, code.branch(JGT, high, yes, equal));
  };
  const equal = (yes: Target, no: Target): Target => {
    const lower = code.load(lowAt, code.branch(JEQ, low, yes, no));
    return wide ? code.load(highAt, code.branch(JEQ, high, lower, no)) : lower;
  };
  switch (op) {
    case "SCMP_CMP_EQ":
      return equal(yes, no);
    case "SCMP_CMP_NE":
      return equal(no, yes);
    case "SCMP_CMP_GT":
      return ordered(JGT, yes, no);
    case "SCMP_CMP_LE":
      return ordered(JGT, no, yes);
    case "SCMP_CMP_GE":
      return ordered(JGE, yes, no);
    case "SCMP_CMP_LT":
      return ordered(JGE, no, yes);
    case "SCMP_CMP_MASKED_EQ": {
      const lower = half(code, lowAt, maskLow, low, yes, no);
      return wide ? half(code, highAt, maskHigh, high, lower, no) : lower;
    }
  }
}

function half(
  code: Assembler,
  at: number,
  mask: number,
  wanted: number,
  yes: Target,
  no: Target,
): Target {
  // A half of which nothing is asked answers itself.
  if (mask === 0) return wanted === 0 ? yes : no;
  const compare = code.branch(JEQ, wanted, yes, no);
  return code.load(at, mask === 0xffffffff ? compare : code.and(mask, compare));
}
