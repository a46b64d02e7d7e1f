import assert from "node:assert/strict";
import fc from "fast-check";
import type { LinuxSeccomp } from "../../spec/mod.ts";
import { CrateError } from "../../errors.ts";
import { checkFilter, runFilter } from "./_bpf_interpreter.ts";
import { calls, profile } from "./_generate.ts";
import { judge, numbersOf } from "./_naive.ts";
import { ABIS } from "./abi.ts";
import { compileSeccomp } from "./compile.ts";

const X86_64 = 0xc000003e;
const I386 = 0x40000003;
const AARCH64 = 0xc00000b7;
const ARM = 0x40000028;
const ALLOW = 0x7fff0000;
const KILL_THREAD = 0;
const ENOSYS = 0x00050026;
const EPERM = 0x00050001;
const EACCES = 0x0005000d;

function ask(
  profile: LinuxSeccomp,
  nr: number,
  args: (number | bigint)[] = [],
  arch = X86_64,
  machine: "x86_64" | "aarch64" = "x86_64",
): number {
  const { filter } = compileSeccomp(profile, machine);
  checkFilter(filter);
  const all = Array.from({ length: 6 }, (_, i) => BigInt(args[i] ?? 0));
  return runFilter(filter, { nr, arch, args: all }).answer;
}

for (const machine of ["x86_64", "aarch64"] as const) {
  Deno.test(`on ${machine} a compiled filter answers as its profile reads, 60,000 calls`, () => {
    fc.assert(
      fc.property(profile(machine), fc.integer(), (profile, seed) => {
        const { filter } = compileSeccomp(profile, machine);
        checkFilter(filter);
        for (const call of calls(machine, seed, 40)) {
          const { answer } = runFilter(filter, call);
          const wanted = judge(profile, machine, call);
          if (answer === wanted) continue;
          const hex = `${call.nr.toString(16)} of ${call.arch.toString(16)}`;
          assert.fail(`${hex}(${call.args}): ${answer.toString(16)}, not ${wanted.toString(16)}`);
        }
      }),
      { numRuns: 1500 },
    );
  });
}
