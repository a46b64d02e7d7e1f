import assert from "node:assert/strict";
import type { LinuxResources } from "../spec/mod.ts";
import { run, withGroup } from "./testing.ts";

// The device allow-list, by the kernel: v1's files, or v2's program (which the verifier has then seen).

/** Opens without reading: 0, or what the shell says. `/dev/kmsg` (c 1:11) is on no default list. */
async function open(resources: LinuxResources, ...redirections: string[]): Promise<string[]> {
  const results: string[] = [];
  await withGroup(resources, async (plan) => {
    for (const redirection of redirections) {
      const { code, stderr } = await run(plan, `: ${redirection}`);
      results.push(code === 0 ? "open" : stderr.includes("not permitted") ? "EPERM" : stderr);
    }
  });
  return results;
}

Deno.test("a container may use the usual devices and no other", async () => {
  const deny = { devices: [{ allow: false, access: "rwm" }] };
  for (const resources of [{}, deny]) {
    assert.deepEqual(
      await open(
        resources,
        "<>/dev/null",
        "</dev/zero",
        ">/dev/full",
        "</dev/urandom",
        "</dev/kmsg",
      ),
      ["open", "open", "open", "open", "EPERM"],
    );
  }
});

Deno.test("a container makes any node, and cannot open the host's disk by it", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    await withGroup({}, async (plan) => {
      const { code, stderr } = await run(plan, `mknod ${directory}/disk b 7 0`);
      assert.equal(code, 0, stderr);
      for (const redirection of [`<${directory}/disk`, `>${directory}/disk`]) {
        assert.match((await run(plan, `: ${redirection}`)).stderr, /not permitted/);
      }
    });
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("a device is allowed for just the access that was given", async () => {
  const resources = {
    devices: [
      { allow: false, access: "rwm" },
      { allow: true, type: "c" as const, major: 1, minor: 11, access: "r" },
    ],
  };
  assert.deepEqual(await open(resources, "</dev/kmsg", ">/dev/kmsg", "<>/dev/kmsg"), [
    "open",
    "EPERM",
    "EPERM",
  ]);
});

Deno.test("an open list keeps out what it denies", async () => {
  const resources = {
    devices: [
      { allow: true, access: "rwm" },
      { allow: false, type: "c" as const, major: 1, minor: 11, access: "w" },
    ],
  };
  assert.deepEqual(await open(resources, "</dev/kmsg", ">/dev/kmsg", "<>/dev/kmsg", "</dev/tty0"), [
    "open",
    "EPERM",
    "EPERM",
    "open",
  ]);
});

Deno.test("a privileged container opens every device", async () => {
  const resources = { devices: [{ allow: true, access: "rwm" }] };
  assert.deepEqual(await open(resources, "<>/dev/kmsg"), ["open"]);
});
