import assert from "node:assert/strict";
import * as ffi from "../../../ffi/mod.ts";
import { everyInit, indexes } from "./_every.ts";
import type { Made } from "./_model.ts";

/** The text at an address. */
function textAt({ machine }: Made, address: number, length: number): string {
  return new TextDecoder().decode(machine.bytes(address, length));
}

/** What a write goes to, and what is written. */
function written(call: Made): [string, string] {
  const { on, args } = call;
  return [on[0]!.what.replace("openat2 ", ""), textAt(call, args[1]!, args[2]!)];
}

Deno.test("a process's labels are set through a procfs of crate's own, and no other is", () => {
  let found = 0;
  everyInit(({ input, init }) => {
    const { apparmorProfile, selinuxLabel } = input.spec.process!;
    const writes = init.named("write").filter(({ on }) => on[0]!.what.includes("self/attr/"));
    const labels = writes.map(written).filter(([path]) => !path.endsWith("keycreate"));
    assert.deepEqual(labels, [
      ...apparmorProfile ? [["self/attr/apparmor/exec", `exec ${apparmorProfile}`]] : [],
      ...selinuxLabel ? [["self/attr/exec", selinuxLabel]] : [],
    ]);
    for (const { on, order } of writes) {
      assert.equal(on[0]!.base!.what, "fsmount of fsopen proc");
      assert(order < indexes(init, ({ name }) => name === "setresuid")[0]!);
      found++;
    }
    for (const { args, strings, machine } of init.named("openat2")) {
      if (!strings[1]!.startsWith("self/attr/")) continue;
      const resolve = machine.u32(args[2]! + ffi.open_how.offset("resolve"));
      const wanted = ffi.RESOLVE_BENEATH | ffi.RESOLVE_NO_XDEV | ffi.RESOLVE_NO_MAGICLINKS;
      assert.equal(resolve & wanted, wanted);
    }
  });
  assert(found > 50);
});

Deno.test("a session keyring is made with the process's label, and no other key is", () => {
  let found = 0;
  everyInit(({ input, init }) => {
    const { selinuxLabel } = input.spec.process!;
    const keys = init.named("write", "keyctl").filter(({ name, on }) =>
      name === "keyctl" || on[0]!.what.endsWith("keycreate")
    );
    const labelled = input.keyring !== undefined && selinuxLabel;
    assert.deepEqual(keys.map((call) => call.name === "keyctl" ? "join" : written(call)[1]), [
      ...labelled ? [selinuxLabel] : [],
      ...input.keyring === undefined ? [] : ["join"],
      ...labelled ? [""] : [],
    ]);
    if (labelled) found++;
  });
  assert(found > 5);
});

Deno.test("linux.mountLabel is the context of every filesystem that takes one, and of no other", () => {
  const seen = new Set<string>();
  everyInit(({ input, init }) => {
    const label = input.spec.linux?.mountLabel;
    const contexts = init.named("fsconfig").filter(({ strings }) => strings[2] === "context");
    const labelled = new Map(contexts.map(({ on, strings }) => [on[0], strings[3]]));
    for (const { on } of init.named("fsmount")) {
      const type = on[0]!.what.replace("fsopen ", "");
      const takes = label && ["tmpfs", "devpts", "overlay"].includes(type);
      assert.equal(labelled.get(on[0]), takes ? label : undefined, type);
      if (takes) seen.add(type);
    }
    // An overlay with so many options is made in one call.
    for (const call of init.named("mount").filter(({ strings }) => strings[2] === "overlay")) {
      const data = call.machine.string(call.args[4]!).split(",");
      assert.equal(data.includes(`context=${label}`), Boolean(label));
      if (label) seen.add("overlay");
    }
    const queues = init.named("fsetxattr");
    const mounts = (input.spec.mounts ?? []).filter(({ type }) => type === "mqueue");
    assert.equal(queues.length, label ? mounts.length : 0);
    for (const call of queues) {
      const { on, strings, args } = call;
      assert.equal(on[0]!.base!.what, "fsmount of fsopen mqueue");
      assert.equal(strings[1], "security.selinux");
      assert.equal(textAt(call, args[2]!, args[3]!), label);
      seen.add("mqueue");
    }
  });
  assert.deepEqual([...seen].sort(), ["devpts", "mqueue", "overlay", "tmpfs"]);
});
