import assert from "node:assert/strict";
import { EEXIST, ENOENT, ENOSPC, EPERM } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { decide, type Subject } from "./failure.ts";

function told(name: "openat" | "unlinkat" | "fsetxattr", errno: number, made: number): string {
  const subject: Subject = { path: "a", kind: "file" };
  try {
    return decide({ name, errno, subject }, made, false);
  } catch (error) {
    assert(error instanceof CrateError);
    return error.message;
  }
}

Deno.test("a failure names the call that failed, not the one that was to clear its way", () => {
  assert.equal(told("unlinkat", ENOENT, -EPERM), 'entry "a": cannot make the file: openat: EPERM');
  assert.equal(
    told("unlinkat", EPERM, -EEXIST),
    'entry "a": cannot make the file: unlinkat: EPERM',
  );
  assert.equal(told("openat", EPERM, -EPERM), 'entry "a": cannot make the file: openat: EPERM');
});

Deno.test("a full disk and attributes that are too large are told apart", () => {
  assert.match(
    told("openat", ENOSPC, -ENOSPC),
    /: no space left on the device \(or no more inodes\)$/,
  );
  assert.match(told("fsetxattr", ENOSPC, 3), /: no room for its extended attributes: too large/);
  assert.equal(told("fsetxattr", EPERM, 3), "next");
});
