import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import { rlimitNumber } from "./rlimits.ts";

Deno.test("every resource limit has the number that asm-generic/resource.h gives it", () => {
  const numbers = {
    RLIMIT_CPU: 0,
    RLIMIT_FSIZE: 1,
    RLIMIT_DATA: 2,
    RLIMIT_STACK: 3,
    RLIMIT_CORE: 4,
    RLIMIT_RSS: 5,
    RLIMIT_NPROC: 6,
    RLIMIT_NOFILE: 7,
    RLIMIT_MEMLOCK: 8,
    RLIMIT_AS: 9,
    RLIMIT_LOCKS: 10,
    RLIMIT_SIGPENDING: 11,
    RLIMIT_MSGQUEUE: 12,
    RLIMIT_NICE: 13,
    RLIMIT_RTPRIO: 14,
    RLIMIT_RTTIME: 15,
  };
  for (const [name, number] of Object.entries(numbers)) assert.equal(rlimitNumber(name), number);
});

Deno.test("an unknown resource limit is refused with the one that was meant", () => {
  assert.throws(() => rlimitNumber("RLIMIT_NOFILES"), (error) => {
    assert.ok(error instanceof CrateError && error.code === "INVALID");
    assert.match(error.message, /did you mean RLIMIT_NOFILE\?/);
    return true;
  });
  assert.throws(() => rlimitNumber("toString"), /it is one of RLIMIT_CPU, /);
});
