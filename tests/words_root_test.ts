// Not in the virtual machine: what words mean is the same on every kernel
import assert from "node:assert/strict";
import { CrateError } from "../lib/errors.ts";
import { Container } from "../mod.ts";
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

async function refused(box: Sandbox, words: readonly string[], sentence: RegExp): Promise<void> {
  const { code, stderr } = await box.crate(words);
  assert.match(stderr, sentence, words.join(" "));
  assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
  assert([2, 125, 126, 127].includes(code), `${words.join(" ")}: ${code}`);
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

test("a host name that is none is refused, whatever the network", async (box) => {
  for (const network of ["none", "host", "crate0"]) {
    const words = ["run", "--network", network, "-r", box.rootfs];
    const uts = network === "host" ? ["--uts", "private"] : [];
    for (const name of ["x\n9.9.9.9 evil", "a b", "-a", "a..b"]) {
      await refused(
        box,
        [...words, ...uts, `--hostname=${name}`, "true"],
        /--hostname: ".*" is no host name: /,
      );
    }
  }
  assert.equal(await box.sh("hostname", ["--name", "empty", "-h", ""]), "empty");
  const wrong = new Container("/bin/true", {
    rootfs: box.rootfs,
    hostname: "a\nb",
    stateRoot: box.root,
  });
  await assert.rejects(
    wrong.spawn(),
    (error) => error instanceof CrateError && error.code === "INVALID",
  );
});

test("memory that no container can start with is refused", async (box) => {
  for (const size of ["1", "100k", "6291455"]) {
    const words = ["run", "-m", size, "-r", box.rootfs, "true"];
    await refused(box, words, /--memory must be at least 6 MiB, got \d+ bytes$/m);
  }
  assert.equal(await box.sh("echo up", ["-m", "6m"]), "up");
});
