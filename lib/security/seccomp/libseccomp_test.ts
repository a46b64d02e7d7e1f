import assert from "node:assert/strict";
import fc from "fast-check";
import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall } from "../../spec/mod.ts";
import { runFilter } from "./_bpf_interpreter.ts";
import { action, argument, calls, NAMES } from "./_generate.ts";
import { askLibseccomp, filterLines, hasLibseccomp } from "./_libseccomp.ts";
import { numbersOf } from "./_naive.ts";
import { ABIS, MULTIPLEXERS } from "./abi.ts";
import { compileSeccomp } from "./compile.ts";

const ignore = !hasLibseccomp();
const MACHINES = ["x86_64", "aarch64"] as const;

Deno.test({
  name: "the system call tables agree with libseccomp's, as far as those go",
  ignore,
  async fn() {
    const header = Deno.readTextFileSync("/usr/include/seccomp-syscalls.h");
    const names = new Set(Array.from(header.matchAll(/\b__SNR_(\w+)/g), ([, name]) => name!));
    assert.ok(names.size > 450);
    const asked = MACHINES.flatMap((machine) =>
      ABIS[machine].flatMap((abi) => {
        const table = numbersOf(machine, abi);
        return Array.from(names, (name) => ({ abi, name, number: table.get(name) }));
      })
    );
    const lines = await askLibseccomp(asked.map(({ abi, name }) => `name ${abi.name} ${name}`));
    let same = 0;
    for (const [i, { abi, name, number }] of asked.entries()) {
      const theirs = Number(lines[i]);
      const known = `${abi.name} ${name}`;
      const through = MULTIPLEXERS.find(({ selectors }) => Object.hasOwn(selectors, name));
      if (abi.multiplexes && through) assert.equal(theirs, through.call, known);
      else if (theirs >= 0) {
        assert.equal(number! + abi.bit, theirs, known);
        same++;
        // The kernel's own table has it for x32 too (5.18 and on).
      } else if (known !== "SCMP_ARCH_X32 map_shadow_stack") assert.equal(number, undefined, known);
    }
    assert.ok(same > 1800, `${same} calls compared`);
  },
});

const maskedWithin = argument.map((arg): LinuxSeccompArg =>
  arg.op === "SCMP_CMP_MASKED_EQ"
    ? { ...arg, valueTwo: BigInt(arg.value) & BigInt(arg.valueTwo ?? 0) }
    : arg
);

/**
 * A call's rules as libseccomp (2.5.4) gets them right: none, one with tests of different arguments,
 * or several that compare one argument for equality. It loses the way among others.
 */
const tests = fc.oneof(
  fc.constant<LinuxSeccompArg[][]>([[]]),
  fc.uniqueArray(maskedWithin, { minLength: 1, maxLength: 3, selector: ({ index }) => index })
    .map((args): LinuxSeccompArg[][] => [args]),
  // One without args overrules, wherever it stands.
  argument.map((arg): LinuxSeccompArg[][] => [[{ ...arg, op: "SCMP_CMP_EQ" }], []]),
  argument.map((arg): LinuxSeccompArg[][] => [[], [{ ...arg, op: "SCMP_CMP_EQ" }], []]),
  fc.uniqueArray(argument, { maxLength: 4, selector: ({ value }) => Number(value) })
    .map((args) =>
      args.map(({ value }): LinuxSeccompArg[] => [{ index: 1, op: "SCMP_CMP_EQ", value }])
    ),
);

function profiles(names: string[]): fc.Arbitrary<LinuxSeccomp> {
  // libseccomp drops a second rule for a multiplexed call, on every ABI, when i386's already has one.
  const muxed = (name: string) => MULTIPLEXERS.some(({ selectors }) => name in selectors);
  const rules = (name: string): fc.Arbitrary<LinuxSyscall[]> =>
    fc.tuple(tests, action, fc.array(action, { minLength: 3, maxLength: 3 })).map((
      [lists, tested, whole],
    ) =>
      lists.slice(0, muxed(name) ? 1 : 4).map((args, i) => (
        { names: [name], ...(args.length > 0 ? tested : whole[i]!), args }
      ))
    );
  return fc.record({
    // Actions that give newer calls no ENOSYS, which is runc's doing and not libseccomp's.
    defaultAction: fc.constantFrom("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"),
    architectures: fc.subarray(
      MACHINES.flatMap((machine) => ABIS[machine].map(({ name }) => name)),
    ),
    syscalls: fc.shuffledSubarray(names, { minLength: 1, maxLength: 6 }).chain((names) =>
      fc.tuple(...names.map(rules)).map((lists) => lists.flat())
    ),
  });
}

for (const machine of MACHINES) {
  Deno.test({
    name: `on ${machine} a filter answers what libseccomp's for the same profile answers`,
    ignore,
    async fn() {
      // A call that an ABI lacks makes libseccomp 2.5.4 forget to load the number of the next.
      const everywhere = ABIS[machine].map((abi) => numbersOf(machine, abi));
      const names = NAMES.filter((name) =>
        name !== "file_setattr" && everywhere.every((table) => table.has(name))
      );
      assert.ok(names.length > 8, `${names}`);
      const samples = fc.sample(profiles(names), 400);
      const lines = samples.flatMap((profile) => filterLines(profile, machine));
      const programs = (await askLibseccomp(lines)).map((line) => Uint8Array.fromHex(line));
      assert.equal(programs.length, samples.length);
      for (const [i, profile] of samples.entries()) {
        const { filter } = compileSeccomp(profile, machine);
        for (const call of calls(machine, i, 100)) {
          // A negative number is no call; of ipc's first argument libseccomp compares the version too.
          if (call.nr >= 0x80000000 || call.nr === 117 && call.args[0]! >> 16n !== 0n) continue;
          const ours = runFilter(filter, call).answer;
          const theirs = runFilter(programs[i]!, call).answer;
          if (ours === theirs) continue;
          const json = JSON.stringify(
            profile,
            (_, value) => typeof value === "bigint" ? `${value}` : value,
          );
          assert.fail(
            `${json}: ${call.nr.toString(16)} of ${call.arch.toString(16)}(${call.args}): ` +
              `${ours.toString(16)}, libseccomp ${theirs.toString(16)}`,
          );
        }
      }
    },
  });
}
