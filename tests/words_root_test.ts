// Not in the virtual machine: what words mean is the same on every kernel
import assert from "node:assert/strict";
import { BUSYBOX, makeImage, type TestConfig } from "./support/image.ts";
import { type Sandbox, test } from "./support/mod.ts";
import { execute } from "./support/registry.ts";

// What docker's and podman's users type by habit: it means the same here, or one sentence says what to type.

/** An image `test:1` in the store. */
async function withImage(box: Sandbox, config: TestConfig): Promise<void> {
  const from = await makeImage(box.path("image"), [BUSYBOX], config);
  const archive = box.path("image.tar");
  await execute(["skopeo", "copy", "-q", from, `docker-archive:${archive}:example.test/test:1`]);
  await box.ok(["load", "-q", "-i", archive]);
  await box.ok(["tag", "example.test/test:1", "test:1"]);
}

test("a part of a user that is empty is as if it were not given", async (box) => {
  await withImage(box, { user: "1000:", workingDir: "/bin" });
  const ids = ["/bin/sh", "-c", "echo $(id -u) $(id -g) $(pwd)"];
  const run = (...options: string[]) =>
    box.ok(["run", "--rm", "--network", "none", ...options, "test:1", ...ids]);
  assert.equal(await run(), "1000 1000 /bin");
  assert.equal(await run("-u", ":77"), "0 77 /bin");
  assert.equal(await run("-u", "", "-w", ""), "1000 1000 /bin");
  assert.equal(await box.sh("id -u; id -g", ["-u", "5:"]), "5\n0");
});

test("exec takes an empty user and directory for none", async (box) => {
  const id = await box.detached("sleep 100", ["-u", "7:8", "-w", "/bin"]);
  const exec = (...options: string[]) =>
    box.ok(["exec", ...options, id, "/bin/sh", "-c", "echo $(id -u) $(id -g) $(pwd)"]);
  assert.equal(await exec("-u", "", "-w", ""), "7 8 /bin");
  assert.equal(await exec("-u", ":9", "--cwd", ""), "0 9 /bin");
  await box.ok(["delete", "-f", id]);
});
