import {
  type Argument,
  errnoName,
  type Label,
  type Place,
  type Program,
  type Step,
  valueOf,
} from "../../ffi/mod.ts";

// A program is data, so a test can take a finished one and let a single step of it fail, as the kernel
// would: with a negative result, once.

/** The steps that ask the kernel for something, and so can fail. */
export function faultPoints(program: Program): number[] {
  return program.steps.flatMap(({ operation }, i) =>
    ["compute", "return", "exit_group"].includes(operation) ? [] : [i]
  );
}

/**
 * The same program, but the first time that a process comes to a step, the step does nothing and
 * fails with this error; afterwards it does what it always did.
 */
export function failOnce(program: Program, index: number, errno: number): Program {
  const original = program.steps[index]!;
  const failed = {
    kind: "variable",
    name: "failed",
    size: 8,
    offset: program.sizes.variables,
  } as const;
  const end = program.steps.length;
  const at = (name: string, index: number): Label => ({ name, index });
  const next = at("next", index + 1);
  const compute = (a: Argument, ways: Partial<Step>): Step => ({
    operation: "compute",
    args: [a, 0, -1],
    label: original.label,
    ...ways,
  });
  const flag: Place = { cell: failed, offset: 0 };
  const again = at("again", end + 3);
  return {
    ...program,
    variables: [...program.variables, failed],
    sizes: { ...program.sizes, variables: failed.offset + failed.size },
    steps: [
      ...program.steps.with(index, compute(0, { zero: at("fault", end) })),
      compute(valueOf(failed), { positive: again }),
      compute(1, { result: flag }),
      compute(-errno, { result: original.result, negative: original.negative }),
      { ...original, zero: original.zero ?? next, positive: original.positive ?? next },
    ],
  };
}

/** The same program, but whoever comes to a step ends there. */
export function dieAt(program: Program, index: number): Program {
  const step: Step = { operation: "exit_group", args: [99], label: "die" };
  return { ...program, steps: program.steps.with(index, step) };
}

/** A step in words, for a test's messages. */
export function showStep(program: Program, index: number, errno: number): string {
  const { operation, label } = program.steps[index]!;
  return `step ${index}, ${operation}${label === operation ? "" : ` (${label})`}: ${
    errnoName(errno)
  }`;
}
