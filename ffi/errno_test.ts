import assert from "node:assert/strict";
import { has, macros } from "./_tools.ts";
import * as errno from "./errno.ts";

/** The error numbers of errno.h; a name for another name (`EWOULDBLOCK`) is not one more. */
async function headerNumbers(): Promise<Map<string, number>> {
  const aliases = new Set(["EWOULDBLOCK", "EDEADLOCK", "ENOTSUP"]);
  const numbers = new Map<string, number>();
  for (const [name, value] of await macros(["errno.h"])) {
    if (/^E[A-Z0-9]+$/.test(name) && /^\d+$/.test(value) && !aliases.has(name)) {
      numbers.set(name, Number(value));
    }
  }
  assert(numbers.size > 130);
  return numbers;
}

Deno.test({
  name: "error numbers and their names are those of errno.h",
  ignore: !has("gcc"),
  fn: async () => {
    const theirs = await headerNumbers();
    const names = new Map([...theirs].map(([name, number]) => [number, name]));
    for (let number = 1; number <= 140; number++) {
      assert.equal(errno.errnoName(number), names.get(number) ?? `errno ${number}`);
    }
    for (const [name, value] of Object.entries(errno)) {
      // EOPNOTSUPP and ENOTSUP are one number; the header's own name for it is the first.
      if (typeof value === "number") assert.equal(value, theirs.get(name), name);
    }
  },
});

Deno.test("a number that no header names is told as a number", () => {
  assert.equal(errno.errnoName(0), "errno 0");
  assert.equal(errno.errnoName(41), "errno 41");
  assert.equal(errno.errnoName(4095), "errno 4095");
});

Deno.test("a SyscallError names the call, the path and the error", () => {
  const error = new errno.SyscallError("openat", 2, "/nowhere");
  assert(error instanceof Error);
  assert.equal(error.name, "SyscallError");
  assert.equal(error.message, "openat /nowhere: ENOENT");
  assert.deepEqual(
    { syscall: error.syscall, errno: error.errno, code: error.code, path: error.path },
    { syscall: "openat", errno: 2, code: "ENOENT", path: "/nowhere" },
  );
  assert.equal(new errno.SyscallError("setsid", 1).message, "setsid: EPERM");
});
