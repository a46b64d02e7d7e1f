// Not in the virtual machine: volumes are directories in the store of images, which knows nothing of cgroups
// Volumes with names, and -v PATH alone: whose they are, what is in them, when they go.
import assert from "node:assert/strict";
import { execute } from "./support/registry.ts";
import { type Sandbox, Terminal, test, until } from "./support/mod.ts";

/** An image `test:1` with busybox and `/data/first`, which is user 7's, and so many other files. */
async function withImage(box: Sandbox, others = 0): Promise<void> {
  Deno.mkdirSync(`${box.rootfs}/data`);
  for (let i = 0; i < others; i++) Deno.writeTextFileSync(`${box.rootfs}/data/${i}`, `${i}\n`);
  Deno.writeTextFileSync(`${box.rootfs}/data/first`, "from the image\n");
  Deno.chownSync(`${box.rootfs}/data`, 7, 8);
  const archive = box.path("rootfs.tar");
  await execute(["tar", "-C", box.rootfs, "-cf", archive, "."]);
  await box.ok(["import", "-q", archive, "test:1"]);
}

const sh = (script: string) => ["/bin/sh", "-c", script];

/** Names in the store's folders of volumes and of what is on its way. */
function left(box: Sandbox, folder: string): string[] {
  try {
    return [...Deno.readDirSync(`${box.imageRoot}/crate/${folder}`)].map(({ name }) => name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return [];
  }
}

test("a volume keeps what containers write, of images and without", async (box) => {
  await withImage(box);
  const run = (...words: string[]) => box.ok(["run", "--rm", ...words]);
  const script = "cat /data/first; stat -c %u:%g /data; echo more > /data/second";
  assert.equal(
    await run("-v", "mine:/data", "test:1", ...sh(script)),
    "from the image\n7:8",
    "a new volume begins with what the image has there",
  );
  await box.ok(["run", "--rm", "-v", "mine:/data", "test:1", ...sh("echo changed > /data/first")]);
  const cat = sh("cat /srv/first /srv/second");
  assert.equal(await run("-v", "mine:/srv", "-r", box.rootfs, ...cat), "changed\nmore");
  assert.equal(
    await run("--mount", "type=volume,src=mine,dst=/srv,ro", "test:1", ...cat),
    "changed\nmore",
  );
  const { stderr } = await box.crate([
    ...["run", "--rm", "-v", "mine:/srv:ro", "test:1"],
    ...sh("echo x > /srv/x"),
  ]);
  assert.match(stderr, /Read-only file system/);
  for (
    const option of [["-v", "bare:/data:nocopy"], [
      "--mount",
      "type=volume,volume-nocopy,src=bare2,dst=/data",
    ]]
  ) {
    assert.equal(await run(...option, "test:1", ...sh("ls /data")), "");
  }
  await box.ok(["volume", "prune", "--all"]);
});

test("prune takes volumes that nobody named, and with --all every one that is not used", async (box) => {
  await box.ok(["volume", "create", "named"]);
  const random = await box.ok(["volume", "create"]);
  assert.match(await box.ok(["volume", "prune"]), new RegExp(`^${random}\nReclaimed: `));
  assert.equal(await box.ok(["volume", "ls", "-q"]), "named");
  assert.match(await box.ok(["volume", "prune", "-a", "-f"]), /^named\nReclaimed: /);
  assert.equal(await box.ok(["volume", "ls", "-q"]), "");
});

test("on a terminal prune asks first, and --force does not", async (box) => {
  const prune = async (words: readonly string[], answer?: string) => {
    using terminal = new Terminal();
    const running = terminal.start(box, [...words, ...answer === undefined ? ["--force"] : []]);
    if (answer !== undefined) {
      await terminal.shows("Go on? [y/N]");
      terminal.type(answer);
    }
    return (await terminal.ended(running)).code;
  };
  await box.ok(["volume", "create", "kept"]);
  for (const answer of ["n\r", "\r"]) {
    assert.equal(await prune(["volume", "prune", "--all"], answer), 1);
    assert.equal(await box.ok(["volume", "ls", "-q"]), "kept");
  }
  assert.equal(await prune(["volume", "prune", "--all"], "y\r"), 0);
  assert.equal(await box.ok(["volume", "ls", "-q"]), "");
  const others = [
    ["volume", "prune"],
    ["network", "prune"],
    ["prune"],
    ["container", "prune"],
    ["system", "prune"],
  ];
  for (const words of others) {
    assert.equal(await prune(words, "n\r"), 1, words.join(" "));
    assert.equal(await prune(words), 0, words.join(" "));
  }
});

test("a volume that a container uses stays, and goes when the container has gone", async (box) => {
  assert.equal(await box.ok(["volume", "create", "-l", "kind=test", "one"]), "one");
  assert.equal(await box.ok(["volume", "create", "one"]), "one");
  const random = await box.ok(["volume", "create"]);
  assert.match(random, /^[0-9a-f]{64}$/);
  const id = await box.detached("sleep 100", ["-v", "one:/data"]);
  assert.match(await box.ok(["volume", "ls"]), new RegExp(`^one +\\S.* +${id}$`, "m"));
  const { code, stdout, stderr } = await box.crate(["volume", "rm", "one", random]);
  assert.deepEqual([code, stdout], [125, `${random}\n`]);
  assert.match(stderr, new RegExp(`^crate: volume "one" is used by container "${id}": .*\n$`));
  assert.match(await box.ok(["volume", "prune", "--all"]), /^Reclaimed: 0B$/);
  // Under another name of the store's directory as well.
  Deno.symlinkSync(box.imageRoot, box.path("other"));
  const { words, env } = box.commandLine(["volume", "prune", "--all"]);
  await execute(words, { env: { ...env, CRATE_IMAGE_ROOT: box.path("other") } });
  assert.match(await box.ok(["df"]), /^Volumes +1 +1 /m);
  // One that has stopped uses it still.
  await box.ok(["stop", "-t", "0", id]);
  assert.equal((await box.crate(["volume", "rm", "one"])).code, 125);
  const [shown] = JSON.parse(await box.ok(["volume", "inspect", "one"]));
  assert.deepEqual([shown.Name, shown.Labels], ["one", { kind: "test" }]);
  Deno.writeFileSync(`${shown.Mountpoint}/large`, new Uint8Array(1 << 20));
  await box.ok(["delete", id]);
  assert.match(await box.ok(["df"]), /^Volumes +1 +0 .* +1.*MB \(100%\)$/m);
  assert.match(await box.ok(["volume", "prune", "--all"]), /^one\nReclaimed: 1.*MB$/);
  assert.deepEqual([left(box, "volumes"), left(box, "tmp")], [[], []]);
});

test("what cannot be is one sentence", async (box) => {
  const cases: [words: string[], sentence: RegExp][] = [
    [["volume", "create", "../up"], /^crate: "\.\.\/up" is no name of a volume: /],
    [["volume", "create", "x".repeat(201)], /is no name of a volume/],
    [
      ["volume", "rm", "none"],
      /^crate: volume "none" does not exist: crate volume ls shows them\n$/,
    ],
    [["volume", "inspect", "none"], /^crate: volume "none" does not exist/],
    [
      ["run", "--mount", "type=volume,src=a,dst=/d,volume-nocopy=x", "-r", box.rootfs, "true"],
      /volume-nocopy is true or false/,
    ],
    [["run", "-v", ".up/x", "-r", box.rootfs, "true"], /is not HOST:PATH/],
  ];
  for (const [words, sentence] of cases) {
    const { code, stderr } = await box.crate(words);
    assert.equal(code, 125, words.join(" "));
    assert.match(stderr, sentence);
  }
  await box.ok(["volume", "rm", "-f", "none"]);
  // What was made for a container that does not start is not left, nor by --explain.
  assert.equal((await box.crate(["run", "-v", "new:/d", "-r", box.rootfs, "/nope"])).code, 127);
  await box.ok(["run", "--explain", "-v", "new:/d", "-r", box.rootfs, "true"]);
  assert.deepEqual(left(box, "volumes"), []);
});

test("-v PATH alone is a volume of the container's own", async (box) => {
  await withImage(box);
  await box.ok([
    ...["run", "--name", "one", "-v", "/data/", "-v", "/new", "test:1"],
    ...sh("cat /data/first > /new/copy; echo own > /data/own"),
  ]);
  assert.doesNotMatch(await box.ok(["diff", "one"]), /own|copy/);
  const [{ GraphDriver }] = JSON.parse(await box.ok(["inspect", "one"]));
  const volumes = `${GraphDriver.Data.UpperDir}/../volumes`;
  assert.equal(
    await execute(["sh", "-c", "cat $0/*/own $0/*/copy", volumes]),
    "own\nfrom the image\n",
  );
  await box.ok(["delete", "one"]);
  assert.deepEqual(left(box, "containers"), []);
  const words = ["run", "--keep", box.path("kept"), "-v", "/data", "test:1", "true"];
  assert.match(
    (await box.crate(words)).stderr,
    /a volume without a name, at \/data, is not for --keep: /,
  );
});

test("many that begin with one new volume at once find it whole, wherever one is killed", async (box) => {
  await withImage(box, 300);
  const script = sh("cat /data/first; sleep 0.05");
  const words = ["run", "--rm", "-v", "shared:/data", "test:1", ...script];
  const outputs = await Promise.all(Array.from({ length: 6 }, () => box.ok(words)));
  assert.deepEqual(new Set(outputs), new Set(["from the image"]));
  for (let i = 0; i < 8; i++) {
    const kill = `"$@" & sleep ${(0.03 + 0.01 * i).toFixed(3)}; kill -9 $!; wait`;
    await box.host(kill, ["run", "--rm", "-v", `v${i}:/data`, "test:1", "true"]);
    const again = ["run", "--rm", "-v", `v${i}:/data`, "test:1", "cat", "/data/first"];
    assert.equal(await box.ok(again), "from the image", `v${i}`);
  }
  assert.deepEqual(left(box, "locks"), [], "the last to begin was not killed");
  await until("the ends", async () => (await box.ok(["list", "-q"])) === "");
  assert.match(await box.ok(["volume", "prune", "--all"]), /^shared\n(v\d+\n){8}/m);
  await box.ok(["prune"]);
  assert.deepEqual([left(box, "volumes"), left(box, "tmp"), left(box, "locks")], [[], [], []]);
});
