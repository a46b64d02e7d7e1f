// Containers get other names: running and stopped, with all that others know them by.
// Not in the virtual machine: a name is a directory's and a record's, whatever the groups
import assert from "node:assert/strict";
import { BUSYBOX, makeImage } from "./support/image.ts";
import { execute } from "./support/registry.ts";
import { type Sandbox, test, until } from "./support/mod.ts";
import { create, makeBundle } from "./support/bundle.ts";
import { idle, networkTest } from "./support/network.ts";

const ids = async (box: Sandbox) => (await box.ok(["list", "-q"])).split("\n").sort().join(" ");

async function refusal(box: Sandbox, ...words: string[]): Promise<string> {
  const { code, stderr } = await box.crate(["rename", ...words]);
  assert.equal(code, 125);
  return stderr.trimEnd();
}

async function withImage(box: Sandbox): Promise<void> {
  const from = await makeImage(box.path("image"), [BUSYBOX]);
  const archive = box.path("image.tar");
  await execute(["skopeo", "copy", "-q", from, `docker-archive:${archive}:example.test/test:1`]);
  await box.ok(["load", "-q", "-i", archive]);
}

test("a container that has ended has its log, its exit code and its next start under the new name", async (box) => {
  await box.crate([
    "run",
    "-d",
    "--name",
    "old",
    "-r",
    box.rootfs,
    "/bin/sh",
    "-c",
    "echo a; exit 3",
  ]);
  await until("its end", async () => (await box.state("old")).status === "stopped");
  assert.equal(await box.ok(["rename", "old", "new"]), "");
  assert.equal(await ids(box), "new");
  assert.equal(await box.ok(["logs", "new"]), "a");
  assert.match(await box.ok(["list"]), /^new +stopped \(3\)/m);
  assert.equal((await box.state("new")).id, "new");
  await box.ok(["start", "new"]);
  assert.equal(await box.ok(["wait", "new"]), "3");
  assert.equal(await box.ok(["logs", "new"]), "a\na");
  await box.ok(["delete", "new"]);
});

test("a container that runs ends under its new name, whoever has the old one", async (box) => {
  const script = "echo up; while [ ! -e /go ]; do sleep 0.05; done; echo down; exit 4";
  await box.detached(script, ["--name", "old"]);
  await box.logged("old", "up");
  for (let i = 0; i < 3; i++) await box.ok(["exec", "old", "true"]);
  const { pid } = await box.state("old");
  await box.ok(["rename", "old", "new"]);
  const after = await box.state("new");
  assert.deepEqual([after.pid, after.status], [pid, "running"]);
  assert.equal((await box.crate(["exec", "old", "true"])).code, 125);
  await box.detached("sleep 1000", ["--name", "old"]);
  for (let i = 0; i < 3; i++) {
    assert.equal(await box.ok(["exec", "new", "ls", "-d", "/bin"]), "/bin");
  }
  await box.ok(["pause", "new"]);
  await box.ok(["rename", "new", "newer"]);
  await box.ok(["resume", "newer"]);
  await box.ok(["exec", "newer", "touch", "/go"]);
  assert.equal(await box.ok(["wait", "newer"]), "4");
  assert.equal(await box.ok(["logs", "newer"]), "up\ndown");
  assert.equal((await box.state("old")).status, "running");
  assert.match(await box.ok(["list"]), /^newer +stopped \(4\)/m);
  await box.ok(["delete", "-f", "old", "newer"]);
});

test("a container in the foreground may be renamed, too", async (box) => {
  const running = box.start([
    "run",
    "--name",
    "old",
    "-r",
    box.rootfs,
    "/bin/sh",
    "-c",
    "echo up; while [ ! -e /go ]; do sleep 0.05; done; exit 5",
  ]);
  await box.running("old");
  await box.ok(["rename", "old", "new"]);
  await box.ok(["exec", "new", "touch", "/go"]);
  assert.equal((await running.ended).code, 5);
  assert.match(await box.ok(["list"]), /^new +stopped \(5\)/m);
  await box.ok(["delete", "new"]);
});

test("what a container of an image wrote and its volumes stay its own", async (box) => {
  await withImage(box);
  const sh = ["sh", "-c", "echo x >> /kept; echo v >> /vol/v; cat /kept /vol/v"];
  const image = "example.test/test:1";
  await box.ok(["run", "--name", "old", "-v", "named:/vol", "-v", "/own", image, ...sh]);
  await box.ok(["rename", "old", "new"]);
  for (const words of [["rmi", image], ["volume", "rm", "named"]]) {
    const { code, stderr } = await box.crate(words);
    assert.equal(code, 125, stderr);
    assert.match(stderr, /new/);
  }
  await box.ok(["prune", "--all", "--force"]);
  await box.ok(["volume", "prune", "--all", "--force"]);
  await box.ok(["start", "new"]);
  await box.logged("new", "x\nx\nv\nv\n");
  await box.ok(["commit", "-q", "new", "made"]);
  await box.ok(["delete", "-f", "new"]);
  await box.ok(["volume", "rm", "named"]);
  await box.ok(["prune", "--all", "--force"]);
  assert.deepEqual([...Deno.readDirSync(`${box.imageRoot}/crate/containers`)], []);
});

test("a rename that is killed leaves the container under one name, with all that it has", async (box) => {
  await withImage(box);
  const sh = ["sh", "-c", "echo x > /kept"];
  await box.ok(["run", "--name", "n0", "-v", "named:/vol", "example.test/test:1", ...sh]);
  let name = "n0";
  let moved = 0;
  const times = 15;
  for (let i = 1; i <= times; i++) {
    const after = (0.03 + 0.25 * i / times).toFixed(3);
    await box.host(`"$@" & sleep ${after}; kill -9 $!; wait`, ["rename", name, `n${i}`]);
    const left = await ids(box);
    assert.ok(left === name || left === `n${i}`, left);
    if (left !== name) moved++;
    name = left;
    await box.ok(["prune", "--force"]);
    assert.match(await box.ok(["diff", name]), /A \/kept/);
  }
  assert.ok(moved > 0);
  await box.ok(["rename", name, "last"]);
  const { code } = await box.crate(["volume", "rm", "named"]);
  assert.equal(code, 125, "it is still in use");
  await box.ok(["start", "last"]);
  await box.ok(["wait", "last"]);
  await box.ok(["delete", "last"]);
  await box.ok(["volume", "rm", "named"]);
});

test("a name that somebody relies on stays, and one that is taken is not given", async (box) => {
  await create(box, "made", makeBundle(box, "made", "exec sleep 1000"));
  assert.match(await refusal(box, "made", "x"), /"made" was created by an engine, which knows it/);
  await box.ok(["delete", "-f", "made"]);
  await box.detached("sleep 1000", ["--name", "passing", "--rm"]);
  assert.match(
    await refusal(box, "passing", "x"),
    /"passing" was started with --rm, and is removed/,
  );
  await box.detached("sleep 1000", ["--name", "one"]);
  assert.match(
    await refusal(box, "one", "passing"),
    /the name "passing" is in use by a running container/,
  );
  assert.match(await refusal(box, "one", "one"), /"one" has that name already/);
  assert.match(await refusal(box, "one", "a/b"), /a\/b/);
  assert.match(await refusal(box, "none", "x"), /"none" does not exist/);
  assert.equal(await ids(box), "one passing");
  await box.ok(["delete", "-f", "one", "passing"]);
});

networkTest(
  "others find a renamed container by its new name, also when it is started again",
  async ({ box }) => {
    await idle(box, "--name", "old", "--network-alias", "alias");
    await idle(box, "--name", "other");
    await box.ok([
      "run",
      "-d",
      "--name",
      "joined",
      "--network",
      "container:old",
      "-r",
      box.rootfs,
      "/bin/sleep",
      "1000",
    ]);
    await box.ok(["rename", "old", "new"]);
    const hosts = async (id: string) => {
      const lines = (await box.ok(["exec", id, "cat", "/etc/hosts"])).split("\n");
      return lines.filter((line) => /^10\..*(old|new)/.test(line)).map((line) =>
        line.split("\t")[1]
      );
    };
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(await hosts("other"), ["new alias"]);
      assert.deepEqual(await hosts("new"), ["old new"]);
      assert.equal(await box.ok(["exec", "new", "hostname"]), "old", "its host name is its own");
      await box.ok(["restart", "-t", "0", "new"]);
    }
    await box.ok(["restart", "-t", "0", "joined"]);
    await idle(box, "--name", "old");
    await box.ok(["network", "disconnect", "crate0", "new"]);
    assert.deepEqual(await hosts("other"), ["old"]);
    await box.ok(["delete", "-f", "joined", "new", "other", "old"]);
  },
);
