import assert from "node:assert/strict";
import { has, isThere, macros } from "./_tools.ts";
import { flagNames } from "./flags.ts";
import { argumentKinds, type SyscallName, syscallNumber } from "./syscalls.ts";

const X86_HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h";
/** What arch/arm64/include/uapi/asm/unistd.h asks of the generic table. */
const ARM_WANTS = ["RENAMEAT", "NEW_STAT", "SYS_CLONE3"].map((what) => `-D__ARCH_WANT_${what}`);

/** The table as it is written, since its names are types at run time. */
async function tableNames(): Promise<SyscallName[]> {
  const source = await Deno.readTextFile(new URL("./syscalls.ts", import.meta.url));
  const names = [...source.matchAll(/^ {2}(\w+): \[\d+, \d+, "/gm)].map(([, name]) => name!);
  assert(names.length > 90);
  return names as SyscallName[];
}

Deno.test({
  name: "system call numbers are those of asm/unistd_64.h and, for arm64, asm-generic/unistd.h",
  ignore: !has("gcc") || !isThere(X86_HEADER),
  fn: async () => {
    const [x86, generic] = await Promise.all([
      macros([X86_HEADER]),
      macros(["asm-generic/unistd.h"], ARM_WANTS),
    ]);
    for (const name of await tableNames()) {
      assert.equal(`${syscallNumber(name, "x86_64")}`, x86.get(`__NR_${name}`), `${name}, x86-64`);
      assert.equal(
        `${syscallNumber(name, "aarch64")}`,
        generic.get(`__NR_${name}`),
        `${name}, arm64`,
      );
    }
  },
});

Deno.test("every argument of every call has a kind that --explain can print", async () => {
  const kinds = new Map<string, SyscallName>();
  for (const name of await tableNames()) {
    assert(argumentKinds(name).length <= 6, name);
    for (const kind of argumentKinds(name)) kinds.set(kind, name);
  }
  const plain = "fd dirfd path string address dec oct hex open_how mount_attr".split(" ");
  for (const kind of ["", ...plain]) kinds.delete(kind);
  // What is left is a set of flags: it has names for something; an unknown one for nothing.
  const numbers = [...Array(0x9000).keys(), ...Array.from({ length: 33 }, (_, i) => 2 ** i)];
  for (const [kind, name] of kinds) {
    assert(numbers.some((number) => /[A-Z]/.test(flagNames(kind, number))), `${name}: ${kind}`);
  }
});
