import assert from "node:assert/strict";
import { CrateError } from "../../errors.ts";
import { checkFilter, runFilter } from "./_bpf_interpreter.ts";
import { Assembler, INSTRUCTION_SIZE, JEQ, type Target } from "./assembler.ts";

/** As many instructions before the target, which do nothing. */
function padding(code: Assembler, count: number, target: Target): Target {
  for (let i = 0; i < count; i++) target = code.load(0, target);
  return target;
}

function answer(filter: Uint8Array<ArrayBuffer>, nr: number): number {
  checkFilter(filter);
  return runFilter(filter, { nr, arch: 0, args: Array(6).fill(0n) }).answer;
}

Deno.test("a conditional jump arrives, however far either of its targets is", () => {
  for (let first = 0; first <= 300; first += first < 240 || first > 270 ? 30 : 1) {
    for (let second = 0; second <= 300; second += second < 240 || second > 270 ? 30 : 1) {
      for (const swap of [false, true]) {
        const code = new Assembler();
        const far = padding(code, 3, code.answer(1));
        const middle = padding(code, first, code.answer(2));
        padding(code, second, code.answer(3));
        const [yes, no] = swap ? [middle, far] : [far, middle];
        const filter = code.finish(code.load(0, code.branch(JEQ, 7, yes, no)));
        assert.equal(answer(filter, 7), swap ? 2 : 1, `${first} ${second}`);
        assert.equal(answer(filter, 8), swap ? 1 : 2, `${first} ${second}`);
      }
    }
  }
});

Deno.test("an answer is given nearby when the last one like it is out of reach", () => {
  for (let count = 0; count <= 600; count++) {
    const code = new Assembler();
    const [one, two] = [code.answer(1), code.answer(2)];
    let next = code.branch(JEQ, 0, one, two);
    next = padding(code, count, code.load(0, next));
    const filter = code.finish(code.load(0, code.branch(JEQ, 9, code.answer(1), next)));
    assert.equal(answer(filter, 9), 1);
    assert.equal(answer(filter, 0), 1);
    assert.equal(answer(filter, 5), 2);
  }
});

Deno.test("a comparison whose branches are one is none", () => {
  const code = new Assembler();
  const filter = code.finish(code.branch(JEQ, 1, code.answer(5), code.answer(5)));
  assert.equal(filter.length, INSTRUCTION_SIZE);
  assert.equal(answer(filter, 1), 5);
});

Deno.test("a program has at most 4096 instructions", () => {
  const code = new Assembler();
  const full = padding(code, 4095, code.answer(1));
  assert.equal(code.finish(full).length, 4096 * INSTRUCTION_SIZE);
  assert.throws(() => code.load(0, full), CrateError);
});
