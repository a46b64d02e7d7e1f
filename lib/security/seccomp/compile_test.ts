import assert from "node:assert/strict";
import fc from "fast-check";
import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall } from "../../spec/mod.ts";
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
  Deno.test(`on ${machine} a compiled filter answers as its profile reads, 100,000 calls`, () => {
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
      { numRuns: 2500 },
    );
  });
}

const rule = (
  names: string,
  action: LinuxSyscall["action"],
  args?: LinuxSeccompArg[],
): LinuxSyscall => (
  { names: names.split(" "), action, ...(args ? { args } : {}) }
);

Deno.test("a program of an architecture that the profile does not list is killed", () => {
  const profile: LinuxSeccomp = { defaultAction: "SCMP_ACT_ALLOW" };
  assert.equal(ask(profile, 0), ALLOW);
  assert.equal(ask(profile, 0, [], I386), KILL_THREAD);
  assert.equal(ask(profile, 0x40000000), KILL_THREAD);
  const all = { ...profile, architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_S390X"] };
  assert.equal(ask(all, 0), ALLOW);
  assert.equal(ask(all, 0, [], I386), ALLOW);
  assert.equal(ask(all, 0x40000000), ALLOW);
  assert.equal(ask(all, 0, [], AARCH64), KILL_THREAD);
  assert.equal(ask(profile, 0, [], AARCH64, "aarch64"), ALLOW);
  assert.equal(ask(profile, 0, [], ARM, "aarch64"), KILL_THREAD);
});

Deno.test("a call has the number of the ABI it is made through", () => {
  const profile: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM"],
    syscalls: [rule("execve", "SCMP_ACT_ERRNO")],
  };
  assert.equal(ask(profile, 59), EPERM);
  assert.equal(ask(profile, 0x40000000 + 520), EPERM);
  assert.equal(ask(profile, 0x40000000 + 59), ALLOW);
  assert.equal(ask(profile, 11, [], I386), EPERM);
  assert.equal(ask(profile, 59, [], I386), ALLOW);
  assert.equal(ask(profile, 221, [], AARCH64, "aarch64"), EPERM);
  assert.equal(ask(profile, 11, [], ARM, "aarch64"), EPERM);
});

Deno.test("a call newer than all that the profile names is missing, unless unnamed calls may pass", () => {
  const syscalls = [rule("read openat2 no_such_call", "SCMP_ACT_ALLOW")];
  const strict: LinuxSeccomp = { defaultAction: "SCMP_ACT_ERRNO", syscalls };
  assert.equal(ask(strict, 437), ALLOW);
  assert.equal(ask(strict, 436), EPERM);
  assert.equal(ask(strict, 438), ENOSYS);
  assert.equal(ask(strict, 100000), ENOSYS);
  for (const defaultAction of ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"] as const) {
    assert.equal(ask({ defaultAction, syscalls }, 438), ask({ defaultAction }, 438));
  }
  assert.equal(ask({ defaultAction: "SCMP_ACT_KILL", syscalls }, 438), ENOSYS);
  assert.equal(ask({ defaultAction: "SCMP_ACT_KILL" }, 438), KILL_THREAD);
  // A rule that says what the default says still names its calls.
  const named = { ...strict, syscalls: [...syscalls, rule("mseal", "SCMP_ACT_ERRNO")] };
  assert.equal(ask(named, 461), EPERM);
  assert.equal(ask(named, 463), ENOSYS);
});

Deno.test("every action becomes the value that the kernel knows it by", () => {
  const actions: [LinuxSyscall["action"], number | undefined, number][] = [
    ["SCMP_ACT_KILL", undefined, 0],
    ["SCMP_ACT_KILL_THREAD", undefined, 0],
    ["SCMP_ACT_KILL_PROCESS", undefined, 0x80000000],
    ["SCMP_ACT_TRAP", undefined, 0x00030000],
    ["SCMP_ACT_ERRNO", undefined, EPERM],
    ["SCMP_ACT_ERRNO", 13, EACCES],
    ["SCMP_ACT_ERRNO", 0, 0x00050000],
    ["SCMP_ACT_NOTIFY", undefined, 0x7fc00000],
    ["SCMP_ACT_TRACE", undefined, 0x7ff00001],
    ["SCMP_ACT_TRACE", 500, 0x7ff001f4],
    ["SCMP_ACT_LOG", undefined, 0x7ffc0000],
    ["SCMP_ACT_ALLOW", undefined, ALLOW],
  ];
  for (const [action, errnoRet, answer] of actions) {
    const errno = errnoRet === undefined ? {} : { errnoRet };
    const defaultAction = action === "SCMP_ACT_ALLOW" ? "SCMP_ACT_LOG" : "SCMP_ACT_ALLOW";
    const syscalls = [{ names: ["read"], action, ...errno }];
    assert.equal(ask({ defaultAction, syscalls }, 0), answer, action);
    const standard = { defaultAction: action, defaultErrnoRet: errnoRet };
    assert.equal(ask(standard, 0), answer, action);
  }
});

Deno.test("tests of different arguments must all hold, tests of the same one are alternatives", () => {
  const is = (index: number, value: number): LinuxSeccompArg => ({
    index,
    value,
    op: "SCMP_CMP_EQ",
  });
  const profile = (args: LinuxSeccompArg[]): LinuxSeccomp => (
    { defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule("read", "SCMP_ACT_ERRNO", args)] }
  );
  assert.equal(ask(profile([is(0, 1), is(1, 2)]), 0, [1, 2]), EPERM);
  assert.equal(ask(profile([is(0, 1), is(1, 2)]), 0, [1, 3]), ALLOW);
  for (const first of [1, 2]) assert.equal(ask(profile([is(0, 1), is(0, 2)]), 0, [first]), EPERM);
  assert.equal(ask(profile([is(0, 1), is(0, 2)]), 0, [3]), ALLOW);
  assert.equal(ask(profile([is(0, 1), is(0, 2), is(1, 5)]), 0, [3, 5]), EPERM);
});

Deno.test("i386's socketcall and ipc obey the rules of the calls they lead to", () => {
  const profile: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: ["SCMP_ARCH_X86"],
    syscalls: [rule("bind shmat", "SCMP_ACT_ERRNO")],
  };
  assert.equal(ask(profile, 361, [], I386), EPERM);
  assert.equal(ask(profile, 102, [2], I386), EPERM);
  assert.equal(ask(profile, 102, [1], I386), ALLOW);
  assert.equal(ask(profile, 117, [21], I386), EPERM);
  assert.equal(ask(profile, 117, [0x10015], I386), EPERM);
  assert.equal(ask(profile, 117, [22], I386), ALLOW);
  assert.equal(ask(profile, 102, [2]), ALLOW);
  // A filter cannot see the arguments that socketcall points to: what is said of the first is dropped.
  const family: LinuxSeccompArg = { index: 0, op: "SCMP_CMP_EQ", value: 40 };
  const sockets = { ...profile, syscalls: [rule("socket", "SCMP_ACT_ERRNO", [family])] };
  assert.equal(ask(sockets, 359, [40], I386), EPERM);
  assert.equal(ask(sockets, 359, [2], I386), ALLOW);
  assert.equal(ask(sockets, 102, [1], I386), EPERM);
});

Deno.test("flags become bits; a notifying filter wants a listener", () => {
  const flags = (flags: string[] | undefined, action: LinuxSyscall["action"], name = "read") =>
    compileSeccomp({
      defaultAction: "SCMP_ACT_ALLOW",
      ...(flags ? { flags: flags.map((flag) => `SECCOMP_FILTER_FLAG_${flag}`) } : {}),
      syscalls: [rule(name, action)],
    }, "x86_64").flags;
  assert.equal(flags(undefined, "SCMP_ACT_ERRNO"), 4);
  assert.equal(flags([], "SCMP_ACT_ERRNO"), 0);
  assert.equal(flags(["LOG", "SPEC_ALLOW", "TSYNC"], "SCMP_ACT_ERRNO"), 7);
  assert.equal(flags(undefined, "SCMP_ACT_NOTIFY"), 12);
  assert.equal(flags(["WAIT_KILLABLE_RECV"], "SCMP_ACT_NOTIFY"), 40);
  assert.equal(flags(["WAIT_KILLABLE_RECV"], "SCMP_ACT_ERRNO"), 0);
  assert.equal(flags(["TSYNC"], "SCMP_ACT_NOTIFY"), 25);
  assert.equal(flags([], "SCMP_ACT_NOTIFY", "no_such_call"), 0);
  assert.equal(flags([], "SCMP_ACT_NOTIFY", "mmap2"), 0);
});

Deno.test("a wrong word is refused with its place", () => {
  const refused = (profile: unknown, message: RegExp) =>
    assert.throws(() => compileSeccomp(profile as LinuxSeccomp, "x86_64"), (error) => {
      assert.ok(error instanceof CrateError && error.code === "INVALID");
      assert.match(error.message, message);
      return true;
    });
  const args = (arg: unknown) => ({
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["read"], action: "SCMP_ACT_ERRNO", args: [arg] }],
  });
  refused(
    { defaultAction: "ALLOW" },
    /^linux\.seccomp\.defaultAction must be one of SCMP_ACT_.*"ALLOW"$/,
  );
  refused({ defaultAction: "constructor" }, /defaultAction must be one of/);
  refused(
    { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["read"], action: "NO" }] },
    /^linux\.seccomp\.syscalls\[0\]\.action must be one of/,
  );
  refused(
    { defaultAction: "SCMP_ACT_ALLOW", flags: ["NO"] },
    /^linux\.seccomp\.flags\[0\] must be one of/,
  );
  refused(
    args({ index: 6, value: 0, op: "SCMP_CMP_EQ" }),
    /args\[0\]\.index must be 0 to 5, got 6$/,
  );
  refused(args({ index: 0, value: 0, op: "EQ" }), /args\[0\]\.op must be one of.*"EQ"$/);
  for (const value of [-1, 0.5, 2 ** 53, -1n, 2n ** 64n, "1"]) {
    refused(
      args({ index: 0, value, op: "SCMP_CMP_EQ" }),
      /args\[0\]\.value must be an unsigned 64-bit/,
    );
  }
});

Deno.test("more rules than a filter has room for are refused, just fewer are taken", () => {
  const profile = (count: number): LinuxSeccomp => ({
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: Array.from(
      { length: count },
      (_, value) => rule("read", "SCMP_ACT_ERRNO", [{ index: 0, value, op: "SCMP_CMP_EQ" }]),
    ),
  });
  assert.equal(ask(profile(1000), 0, [999]), EPERM);
  assert.equal(ask(profile(1000), 0, [1000]), ALLOW);
  assert.throws(() => compileSeccomp(profile(1100), "x86_64"), /more than the 4096 instructions/);
});

Deno.test("a filter decides about any call in few steps, and has no dead code", () => {
  // Every other call of each ABI: the worst there is.
  const names = ABIS.x86_64.flatMap((abi) =>
    [...numbersOf("x86_64", abi)].filter(([, number]) => number % 2 === 0).map(([name]) => name)
  );
  const { filter } = compileSeccomp({
    defaultAction: "SCMP_ACT_ERRNO",
    architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    syscalls: [rule(names.join(" "), "SCMP_ACT_ALLOW")],
  }, "x86_64");
  assert.equal(checkFilter(filter), 0);
  for (const arch of [X86_64, I386]) {
    for (let call = 0; call < 600; call++) {
      if (arch === I386 && (call === 102 || call === 117)) continue; // arguments decide
      for (const nr of [call, call + 0x40000000]) {
        const { steps } = runFilter(filter, { nr, arch, args: Array(6).fill(0n) });
        assert.ok(steps <= 25, `${nr}: ${steps} steps`);
      }
    }
  }
});
