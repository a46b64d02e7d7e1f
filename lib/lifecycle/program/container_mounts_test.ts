import assert from "node:assert/strict";
import * as ffi from "../../../ffi/mod.ts";
import type { Mount } from "../../spec/mod.ts";
import { everyInit, isOneName } from "./_every.ts";

Deno.test("proc and sysfs go where no link of the image leads them", () => {
  everyInit(({ input, init }) => {
    for (const { destination, type } of input.spec.mounts ?? []) {
      if (type !== "proc" && type !== "sysfs") continue;
      const opens = init.named("openat2").filter(({ step }) =>
        step.label === `open ${destination}`
      );
      assert(opens.length > 0);
      for (const { args, machine } of opens) {
        const resolve = machine.u32(args[2]! + ffi.open_how.offset("resolve"));
        assert(resolve & ffi.RESOLVE_NO_SYMLINKS);
      }
    }
  }, 60);
});

/** Path components, `.` and `..` resolved as for a path from the root. */
function parts(path: string): string[] {
  return new URL(path.split("/").map(encodeURIComponent).join("/"), "file:///").pathname
    .split("/").filter((part) => part !== "");
}

/** The last of the deepest mounts that cover a path. */
function covering(mounts: readonly Mount[], path: string): Mount | undefined {
  const all = parts(path);
  const covers = mounts.filter(({ destination }) =>
    parts(destination).every((part, i) => part === all[i])
  );
  const depth = Math.max(...covers.map(({ destination }) => parts(destination).length));
  return covers.findLast(({ destination }) => parts(destination).length === depth);
}

function isBound(mounts: readonly Mount[], path: string): boolean {
  const { options = [], type } = covering(mounts, path) ?? {};
  return type === "bind" || options.includes("bind") || options.includes("rbind");
}

Deno.test("what the host has in a directory that is bound is never made anew or removed", () => {
  let found = 0;
  everyInit(({ input, init }) => {
    const mounts = input.spec.mounts ?? [];
    for (const { name, on, step, strings } of init.calls) {
      if (!["mknodat", "unlinkat", "symlinkat", "fchownat"].includes(name)) continue;
      const last = strings[name === "symlinkat" ? 2 : 1]!;
      if (!isOneName(last)) continue;
      const path = `${on[0]!.what.replace("openat2 ", "/")}/${last}`;
      assert(!isBound(mounts, path), step.label);
      found++;
    }
  });
  assert(found > 100);
});

Deno.test("every /dev that is not the host's has the default devices and links", () => {
  everyInit(({ input, init }) => {
    const mounts = input.spec.mounts ?? [];
    if (isBound(mounts, "/dev")) return;
    const made = new Set(init.named("mknodat").map(({ strings }) => strings[1]));
    for (const name of ["null", "zero", "full", "random", "urandom", "tty"]) {
      assert(made.has(name) || isBound(mounts, `/dev/${name}`), name);
    }
    const links = init.named("symlinkat").map(({ strings: [target, , name] }) =>
      `${name} ${target}`
    );
    assert.deepEqual(links, [
      "fd /proc/self/fd",
      "stdin /proc/self/fd/0",
      "stdout /proc/self/fd/1",
      "stderr /proc/self/fd/2",
      "ptmx pts/ptmx",
    ]);
  }, 60);
});
