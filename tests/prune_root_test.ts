// What nobody needs any more: containers that have ended, and with them networks, volumes and images.
// Not in the virtual machine: what is deleted is deleted by commands that are tried there
import assert from "node:assert/strict";
import { BUSYBOX, makeImage } from "./support/image.ts";
import { execute } from "./support/registry.ts";
import { delay, type Sandbox, test, until } from "./support/mod.ts";
import { create, makeBundle } from "./support/bundle.ts";
import { idle, networkTest } from "./support/network.ts";

async function withImage(box: Sandbox, ...names: string[]): Promise<void> {
  const from = await makeImage(box.path("image"), [BUSYBOX]);
  const archive = box.path("image.tar");
  await execute(["skopeo", "copy", "-q", from, `docker-archive:${archive}:example.test/test:1`]);
  await box.ok(["load", "-q", "-i", archive]);
  for (const name of names) await box.ok(["tag", "example.test/test:1", name]);
}

const ids = async (box: Sandbox) => (await box.ok(["list", "-q"])).split("\n").sort().join(" ");

test("containers that have ended go, those that run and an engine's stay", async (box) => {
  await withImage(box);
  await box.detached("sleep 1000", ["--name", "runs"]);
  await box.detached("true", ["--name", "plain"]);
  const sh = ["sh", "-c", "head -c 100000 /dev/urandom > /big"];
  await box.ok(["run", "--name", "ofimage", "-v", "/anonymous", "example.test/test:1", ...sh]);
  await create(box, "engines", makeBundle(box, "engines", "true"));
  await box.ok(["start", "engines"]);
  for (const id of ["plain", "engines"]) {
    await until("its end", async () => (await box.state(id)).status === "stopped");
  }
  assert.match(await box.ok(["container", "prune"]), /^plain\nofimage\nReclaimed: 1\d\dkB$/);
  assert.equal(await ids(box), "engines runs");
  assert.deepEqual([...Deno.readDirSync(`${box.imageRoot}/crate/containers`)], []);
  assert.deepEqual([...Deno.readDirSync(`${box.imageRoot}/crate/pins`)], []);
  assert.equal(await box.ok(["container", "prune", "-f"]), "Reclaimed: 0B");
  await box.ok(["delete", "-f", "runs", "engines"]);
});

test("a filter leaves the containers that are not old enough", async (box) => {
  await box.crate(["run", "--name", "old", "-r", box.rootfs, "/bin/true"]);
  await delay(1100);
  const between = new Date().toISOString();
  await box.crate(["run", "--name", "new", "-r", box.rootfs, "/bin/true"]);
  const prune = (...filters: string[]) =>
    box.crate(["container", "prune", ...filters.flatMap((each) => ["--filter", each])]);
  assert.equal((await prune("until=1h")).stdout, "Reclaimed: 0B\n");
  assert.equal((await prune(`until=${between}`)).stdout, "old\nReclaimed: 0B\n");
  assert.equal(await ids(box), "new");
  assert.match((await prune("until=then")).stderr, /^crate: --filter until: then: it is a time \(/);
  assert.match(
    (await prune("label=a")).stderr,
    /^crate: --filter label=a: only until=TIME is known/,
  );
  assert.match((await prune("until=1h", "until=2h")).stderr, /there is one already, until=1h$/m);
  await box.ok(["delete", "new"]);
});

test("system df is df", async (box) => {
  assert.equal(await box.ok(["system", "df"]), await box.ok(["df"]));
});

networkTest(
  "system prune takes containers, networks and images, and volumes when that is said",
  async ({ box }) => {
    await withImage(box, "kept:1");
    await box.ok(["network", "create", "unused"]);
    await box.ok(["network", "create", "used"]);
    await idle(box, "--name", "runs", "--network", "used");
    const volume = ["-v", "/data", "-v", "named:/named"];
    await box.ok(["run", "--name", "ended", "--network", "unused", ...volume, "kept:1", "true"]);
    const random = await box.ok(["volume", "create"]);
    const first = await box.ok(["system", "prune"]);
    assert.match(first, /^Deleted container: ended\nDeleted network: unused\nReclaimed: /);
    assert.equal(await ids(box), "runs");
    assert.match(await box.ok(["images"]), /^kept +1 /m);
    const second = await box.ok(["system", "prune", "--all", "--volumes", "--force"]);
    assert.match(
      second,
      new RegExp(`^Deleted volume: ${random}\nUntagged: (.|\n)*Reclaimed: .*MB$`),
    );
    assert.equal(await box.ok(["images", "-q"]), "");
    assert.equal(await box.ok(["volume", "ls", "-q"]), "named");
    assert.equal(await box.ok(["network", "ls", "-q"]), "used");
    await box.ok(["delete", "-f", "runs"]);
  },
);
