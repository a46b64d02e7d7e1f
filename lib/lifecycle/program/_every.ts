// What the tests of a container's program share: walks of the inits of configs of all kinds.
import assert from "node:assert/strict";
import fc from "fast-check";
import { createdInputs, inputs, startingDescriptors } from "./_configs.ts";
import { type Made, Model } from "./_model.ts";
import { compileContainer } from "./compile.ts";
import type { CompileInput } from "./input.ts";

/** A config and the walk of its init. */
export interface Walked {
  readonly input: CompileInput;
  readonly init: Model;
}

/** Checks the walk of the init of any config, from its clone to its execve. */
export function everyInit(check: (walked: Walked) => void, numRuns = 150): void {
  fc.assert(
    fc.property(fc.oneof(inputs, createdInputs), (input: CompileInput) => {
      const program = compileContainer(input);
      const init = new Model(program, { descriptors: startingDescriptors(input) });
      assert.equal(init.last.name, "execve");
      check({ input, init });
    }),
    { numRuns },
  );
}

/** Where the calls of a kind are. */
export function indexes(init: Model, is: (call: Made) => boolean): number[] {
  return init.calls.flatMap((call, i) => is(call) ? [i] : []);
}

/** Where the only call of a kind is. */
export function only(init: Model, is: (call: Made) => boolean): number {
  const found = indexes(init, is);
  assert.equal(found.length, 1);
  return found[0]!;
}

/** The last part of a path in the container, that its parent's descriptor names. */
export function isOneName(path: string): boolean {
  return path !== "" && !path.includes("/") && path !== "." && path !== "..";
}
