// Not in the virtual machine: images know nothing of cgroups, and a registry in an emulated machine is slow
// What containers of images write: their writable layer, volumes, commit, diff and export.
import assert from "node:assert/strict";
import { BUSYBOX, makeImage, type TestConfig, type TestLayer } from "./support/image.ts";
import { execute } from "./support/registry.ts";
import { type Sandbox, test, until } from "./support/mod.ts";

const LAYERS: readonly TestLayer[] = [
  { ...BUSYBOX, "bin/touch": "->busybox", "bin/mkdir": "->busybox", "bin/rm": "->busybox" },
  { "data/first": "from the image\n", "old/a": "a\n", "old/b": "b\n" },
];

/** An image `test:1` in the store. */
async function withImage(box: Sandbox, config: TestConfig = {}): Promise<void> {
  const from = await makeImage(box.path("image"), LAYERS, config);
  const archive = box.path("image.tar");
  await execute(["skopeo", "copy", "-q", from, `docker-archive:${archive}:example.test/test:1`]);
  await box.ok(["load", "-q", "-i", archive]);
  await box.ok(["tag", "example.test/test:1", "test:1"]);
}

/** What of containers is in the store. */
function written(box: Sandbox): string[] {
  try {
    return [...Deno.readDirSync(`${box.imageRoot}/crate/containers`)].map(({ name }) => name);
  } catch {
    return [];
  }
}

/** The notes of what containers need of the store. */
const pins = (box: Sandbox) => [...Deno.readDirSync(`${box.imageRoot}/crate/pins`)];

const sh = (script: string) => ["/bin/sh", "-c", script];

test("what a container writes is on disk until it is deleted", async (box) => {
  await withImage(box);
  await box.ok(["run", "-d", "--name", "one", "test:1", ...sh("echo kept > /etc/kept; sleep 100")]);
  await until("the file", async () => (await box.ok(["diff", "one"])).includes("/etc/kept"));
  assert.equal(written(box).length, 1);
  const mountPoints = ["A /dev", "A /proc", "A /sys"];
  const changes = (await box.ok(["diff", "one"])).split("\n");
  assert.deepEqual(changes.filter((line) => !mountPoints.includes(line)), [
    "C /etc",
    "A /etc/kept",
  ]);
  assert.match(await box.ok(["df"]), /^Containers +1 +1 +\S+ +0B/m);
  await box.ok(["stop", "-t", "0", "one"]);
  assert.match(await box.ok(["df"]), /^Containers +1 +0 +(\S+) +\1 \(100%\)$/m);
  assert.match(await box.ok(["diff", "one"]), /A \/etc\/kept/);
  // Nobody takes it from a container that has stopped.
  await box.ok(["prune"]);
  assert.equal(written(box).length, 1);
  assert.equal(pins(box).length, 1);
  await box.ok(["delete", "one"]);
  assert.deepEqual([written(box), pins(box)], [[], []]);
});

test("a container that is started again finds what it has written", async (box) => {
  await withImage(box);
  const script = "echo more >> /etc/kept; cat /etc/kept";
  await box.crate(["run", "--name", "one", "-v", "named:/data", "test:1", ...sh(script)]);
  for (let i = 0; i < 2; i++) {
    await box.ok(["start", "one"]);
    assert.equal(await box.ok(["wait", "one"]), "0");
  }
  assert.equal((await box.crate(["logs", "one"])).stdout, "more\n".repeat(2 + 3));
  await box.ok(["delete", "one"]);
  await box.ok(["volume", "rm", "named"]);
  assert.deepEqual(written(box), []);
});

test("what a container of --rm wrote goes with the next command", async (box) => {
  await withImage(box);
  await box.ok(["run", "--rm", "test:1", ...sh("mkdir -p /a/b; touch /a/b/c")]);
  await until("its end", async () => (await box.ok(["list", "-q"])) === "");
  await box.ok(["run", "--rm", "test:1", "true"]);
  await until("its end", async () => (await box.ok(["list", "-q"])) === "");
  await box.ok(["prune"]);
  assert.deepEqual(written(box), []);
  // One that could not start leaves nothing.
  assert.equal((await box.crate(["run", "test:1", "/bin/nope"])).code, 127);
  assert.equal((await box.crate(["run", "-v", "/no/such:/x", "test:1", "true"])).code, 125);
  assert.deepEqual(written(box), []);
});

test("containers that are gone leave no notes in the store", async (box) => {
  await withImage(box);
  for (let i = 0; i < 3; i++) await box.ok(["run", "--rm", "test:1", "true"]);
  assert(pins(box).length <= 1, "the last one's goes with the next command");
  await box.ok(["run", "--name", "kept", "--read-only", "test:1", "true"]);
  await box.ok(["delete", "kept"]);
  assert.deepEqual(pins(box), []);
});

test("a crate that is killed as it starts a container of an image leaves nothing for ever", async (box) => {
  await withImage(box);
  for (let i = 0; i < 12; i++) {
    const script = `"$@" & sleep ${(0.02 + 0.006 * i).toFixed(3)}; kill -9 $!; wait`;
    await box.host(script, ["run", "--rm", "test:1", "true"]);
  }
  await until("the ends", async () => (await box.ok(["list", "-q"])) === "");
  await box.ok(["prune"]);
  assert.deepEqual(written(box), []);
});

test("volumes of an image are directories of the container's own, with what the image has there", async (box) => {
  await withImage(box);
  const make = ["import", "-q", "-c", "VOLUME /data /new /old", box.path("root.tar"), "volumes"];
  const id = await box.ok(["run", "-d", "test:1", "sleep", "100"]);
  await box.ok(["export", "-o", box.path("root.tar"), id]);
  await box.ok(["delete", "-f", id]);
  await box.ok(make);
  const script =
    "cat /data/first; echo more > /data/second; echo x > /new/file; ls /old; echo no > /etc/no";
  const words = ["run", "--read-only", "--name", "v", "-v", `${box.path("mine")}:/old`, "volumes"];
  Deno.mkdirSync(box.path("mine"));
  Deno.writeTextFileSync(box.path("mine/own"), "");
  const { stdout, stderr } = await box.crate([...words, ...sh(script)]);
  assert.equal(stdout, "from the image\nown\n");
  assert.match(stderr, /\/etc\/no: Read-only file system/);
  // They are not part of what the container changed, and are gone with it.
  assert.doesNotMatch(await box.ok(["diff", "v"]), /second/);
  const [own] = written(box);
  const volumes = `${box.imageRoot}/crate/containers/${own}/volumes`;
  assert.equal(await execute(["sh", "-c", "cat $0/*/second", volumes]), "more\n");
  await box.ok(["delete", "v"]);
  assert.deepEqual(written(box), []);
});

test("commit makes an image of what a container changed, and it runs", async (box) => {
  await withImage(box, { cmd: ["/bin/cat", "/etc/motd"], env: ["A=1"] });
  const script =
    "echo committed > /etc/motd; rm /old/a; rm -r /data; mkdir /data; touch /data/new; sleep 100";
  await box.ok(["run", "-d", "--name", "one", "test:1", ...sh(script)]);
  await until("the files", async () => (await box.ok(["diff", "one"])).includes("/data/new"));
  const id = await box.ok([
    "commit",
    "-q",
    "--pause",
    "-m",
    "changed",
    "-a",
    "me",
    "-c",
    "ENV B=2",
    "one",
    "two:1",
  ]);
  assert.match(id, /^sha256:[0-9a-f]{64}$/);
  assert.equal(await box.ok(["run", "--rm", "two:1"]), "committed");
  const look = await box.ok(["run", "--rm", "two:1", ...sh("ls /old /data; echo $A $B")]);
  assert.equal(look, "/data:\nnew\n\n/old:\nb\n1 2");
  const [inspected] = JSON.parse(await box.ok(["inspect", "two:1"]));
  assert.deepEqual(inspected.Config.Cmd, ["/bin/cat", "/etc/motd"]);
  assert.equal(inspected.Author, "me");
  assert.match(await box.ok(["history", "two:1"]), /changed/);
  // The image's own layers are shared, and others read it.
  const [first] = JSON.parse(await box.ok(["inspect", "test:1"]));
  const layers = inspected.RootFS.Layers;
  assert.deepEqual(layers.slice(0, -1), first.RootFS.Layers);
  const place = `oci:${box.imageRoot}:docker.io/library/two:1`;
  await execute(["umoci", "unpack", "--image", place.slice(4), box.path("bundle")]);
  assert.equal(Deno.readTextFileSync(box.path("bundle/rootfs/etc/motd")), "committed\n");
  assert.throws(() => Deno.statSync(box.path("bundle/rootfs/old/a")), Deno.errors.NotFound);
  // A container of it still runs, and its own image stays while it does.
  await box.ok(["delete", "-f", "one"]);
  await box.ok(["rmi", "two:1"]);
});

test("export writes a container's files, running or stopped, and nothing that is mounted", async (box) => {
  await withImage(box);
  Deno.writeTextFileSync(box.path("secret"), "");
  Deno.mkdirSync(box.path("volume"));
  Deno.writeTextFileSync(box.path("volume/host"), "");
  const words = ["run", "-d", "--name", "one", "-v", `${box.path("volume")}:/mnt`, "test:1"];
  await box.ok([...words, ...sh("echo new > /etc/new; rm /old/a; sleep 100")]);
  await until("the files", async () => (await box.ok(["diff", "one"])).includes("D /old/a"));
  const list = async (file: string) => (await execute(["tar", "-tf", file])).trim().split("\n");
  await box.ok(["export", "-o", box.path("running.tar"), "one"]);
  const running = await list(box.path("running.tar"));
  for (const path of ["bin/busybox", "etc/new", "old/b", "mnt/", "proc/"]) {
    assert.ok(running.includes(path), path);
  }
  for (const path of ["old/a", "mnt/host", "proc/1/"]) assert.ok(!running.includes(path), path);
  await box.ok(["stop", "-t", "0", "one"]);
  await box.ok(["export", "-o", box.path("stopped.tar"), "one"]);
  assert.deepEqual(await list(box.path("stopped.tar")), running);
  assert.equal(
    await box.ok(["import", "-q", box.path("stopped.tar"), "three"]).then(() => "made"),
    "made",
  );
  assert.equal(await box.ok(["run", "--rm", "three", "cat", "/etc/new"]), "new");
  // A root that is a directory, too.
  await box.ok(["run", "--name", "plain", "-r", box.rootfs, "true"]);
  await box.ok(["export", "-o", box.path("plain.tar"), "plain"]);
  assert.ok((await list(box.path("plain.tar"))).includes("bin/busybox"));
  await box.ok(["delete", "one", "plain"]);
});

test("what cannot be committed, exported or told is one sentence", async (box) => {
  await withImage(box);
  await box.ok(["run", "--name", "plain", "-r", box.rootfs, "true"]);
  await box.ok(["run", "--name", "view", "/bin/true"]);
  await box.ok(["run", "--name", "one", "test:1", "true"]);
  const cases: [words: string[], reason: RegExp][] = [
    [["commit", "nobody"], /container "nobody" does not exist/],
    [["commit", "plain"], /"plain" is not of an image: crate export plain \| crate import - NAME/],
    [["commit", "one", "UPPER"], /UPPER/],
    [["commit", "-c", "RUN x", "one"], /it begins with one of CMD/],
    [["diff", "plain"], /it takes an image, or --keep/],
    [["export", "view"], /was in memory, and is gone since it has ended/],
    [["export", "-o", box.path("no/file"), "one"], /--output .* cannot be written: ENOENT/],
  ];
  for (const [words, reason] of cases) {
    const { code, stdout, stderr } = await box.crate(words);
    assert.equal(code, 125, words.join(" "));
    assert.equal(stdout, "");
    assert.match(stderr, /^crate: [^\n]+\n$/);
    assert.match(stderr, reason);
  }
  await box.ok(["delete", "one", "plain", "view"]);
});

test("export has what a view of the host has kept", async (box) => {
  const keep = box.mkdir("keep");
  const script = "echo x > /etc/kept";
  await box.ok(["run", "--name", "k", "--keep", keep, "/bin/sh", "-c", script]);
  // No more than it takes to come to it.
  const { stdout } = await box.host(
    `"$@" 2>/dev/null | tar -tf - 2>/dev/null | grep -m 1 -x etc/kept`,
    ["export", "k"],
  );
  assert.equal(stdout, "etc/kept\n");
  await box.ok(["delete", "k"]);
});
