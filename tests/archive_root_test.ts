// Not in the virtual machine: archives know nothing of cgroups
// crate save, load and import: what they write and read, and what they refuse.
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { BUSYBOX, makeImage } from "./support/image.ts";
import { execute, Registry } from "./support/registry.ts";
import { type Sandbox, test } from "./support/mod.ts";

const CONFIG = { cmd: ["/bin/cat", "/etc/motd"], env: ["A=1"] };

/** An image of two layers in the store, which a registry has had. */
async function withImage(box: Sandbox, use: (image: string) => Promise<void>): Promise<void> {
  const layers = [BUSYBOX, { "etc/motd": "from a file\n" }];
  const from = await makeImage(box.path("image"), layers, CONFIG);
  await using registry = await Registry.start();
  await registry.push(from, "test/image:1");
  const image = `${registry.host}/test/image:1`;
  await box.ok(["pull", "-q", image]);
  await use(image);
}

async function idOf(box: Sandbox, image: string): Promise<string> {
  return JSON.parse(await box.ok(["inspect", image]))[0].Id;
}

const noNames = async (box: Sandbox) =>
  assert.equal(await box.ok(["images", "-q"]), "", "nothing half-made is left");

test("a saved image is loaded with its name, its id and all of its content", (box) =>
  withImage(box, async (image) => {
    const id = await idOf(box, image);
    await box.ok(["tag", image, "mine:1"]);
    for (const format of ["docker-archive", "oci-archive"]) {
      const file = box.path(`${format}.tar`);
      await box.ok(["save", "--format", format, "-o", file, image, "mine:1"]);
      await box.ok(["save", "--format", format, "-o", `${file}.2`, image, "mine:1"]);
      assert.deepEqual(Deno.readFileSync(file), Deno.readFileSync(`${file}.2`), "the same bytes");
      await box.ok(["rmi", "-f", id]);
      assert.equal(
        await box.ok(["load", "-q", "-i", file]),
        `Loaded image: ${image}\nLoaded image: mine:1`,
      );
      assert.equal(await idOf(box, "mine:1"), id);
      assert.equal(await box.ok(["run", "--rm", image]), "from a file");
    }
    // An id names an image without giving it a name there.
    await box.ok(["save", "-o", box.path("id.tar"), id]);
    await box.ok(["rmi", "-f", id]);
    assert.equal(await box.ok(["load", "-q", "-i", box.path("id.tar")]), `Loaded image: ${id}`);
    assert.equal(await box.ok(["run", "--rm", id]), "from a file");
  }));

test("an archive comes through a pipe as well, compressed or not", (box) =>
  withImage(box, async (image) => {
    const id = await idOf(box, image);
    const { words, env } = box.commandLine([]);
    const crate = words.map((word) => `'${word}'`).join(" ");
    for (const filter of ["cat", "gzip -1", "zstd -q"]) {
      const script = `set -o pipefail; ${crate} save ${image} | ${filter} > ${box.path("archive")}
        ${crate} rmi -f ${id} > /dev/null; cat ${box.path("archive")} | ${crate} load -q`;
      assert.equal(await execute(["bash", "-ec", script], { env }), `Loaded image: ${image}\n`);
      assert.equal(await idOf(box, image), id, filter);
    }
  }));

test("what cannot be saved or loaded is one sentence, and nothing is left", async (box) => {
  Deno.writeTextFileSync(box.path("text"), "no archive at all".repeat(100));
  Deno.writeTextFileSync(box.path("empty"), "");
  Deno.mkdirSync(box.path("in"));
  const archive = async (name: string, files: Record<string, string>) => {
    for (const [path, text] of Object.entries(files)) {
      Deno.writeTextFileSync(`${box.path("in")}/${path}`, text);
    }
    await execute(["tar", "-C", box.path("in"), "-cf", box.path(name), ...Object.keys(files)]);
    return box.path(name);
  };
  const list = (value: unknown) => ({ "manifest.json": JSON.stringify(value) });
  const config = JSON.stringify({
    os: "linux",
    architecture: "amd64",
    rootfs: { type: "layers", diff_ids: [`sha256:${"0".repeat(64)}`] },
  });
  const entry = { Config: "c.json", RepoTags: ["a:1"], Layers: ["l.tar"] };
  const cases: [words: string[], reason: RegExp][] = [
    [["save", "nothing"], /"nothing" is not in the store/],
    [["save", "-o", box.path("no/such/file"), "nothing"], /is not in the store/],
    [["load", "-i", box.path("missing")], /missing cannot be opened: ENOENT/],
    [["load", "-i", box.path("text")], /not a tar archive/],
    [["load", "-i", box.path("empty")], /empty is no archive of images/],
    [["load", "-i", await archive("1", { "other": "" })], /neither manifest\.json nor oci-layout/],
    [["load", "-i", await archive("2", list({}))], /manifest\.json must be a list/],
    [["load", "-i", await archive("3", list([{}]))], /manifest\.json: \[0\] has no Config/],
    [["load", "-i", await archive("4", list([entry]))], /has no file "c\.json"/],
    [
      ["load", "-i", await archive("5", { ...list([entry]), "c.json": config })],
      /has no file "l\.tar"/,
    ],
    [
      ["load", "-i", await archive("6", { ...list([entry]), "c.json": config, "l.tar": "x" })],
      /layer sha256:0{64}: [^\n]*digest/,
    ],
    [["load", "-i", await archive("7", list([{ ...entry, RepoTags: ["A"] }]))], /"A"/],
    [["import", box.path("missing")], /missing cannot be opened: ENOENT/],
    [["import", box.path("text")], /not a tar archive/],
    [["import", "-c", "RUN x", box.path("text")], /it begins with one of CMD/],
    [["import", box.path("1"), "UPPER"], /UPPER/],
  ];
  for (const [words, reason] of cases) {
    const { code, stdout, stderr } = await box.crate([...words]);
    assert.equal(code, 125, words.join(" "));
    assert.equal(stdout, "");
    assert.match(stderr, /^([0-9a-f]{12}: \w+\n)*crate: [^\n]+\n$/, words.join(" "));
    assert.match(stderr, reason);
    await noNames(box);
  }
});

test("what is no file is written to, and stays what it is", (box) =>
  withImage(box, async (image) => {
    await execute(["mkfifo", box.path("fifo")]);
    await execute(["mknod", box.path("null"), "c", "1", "3"]);
    await box.ok(["save", "-o", box.path("null"), image]);
    assert.ok(Deno.lstatSync(box.path("null")).isCharDevice);
    Deno.writeTextFileSync(box.path("real"), "x".repeat(20_000_000));
    Deno.symlinkSync("real", box.path("link"));
    await box.ok(["save", "-o", box.path("link"), image]);
    assert.ok(Deno.lstatSync(box.path("link")).isSymlink);
    const reading = execute(["sh", "-c", 'tar -t < "$0"', box.path("fifo")]);
    await box.ok(["save", "-o", box.path("fifo"), image]);
    assert.equal(await reading, await execute(["tar", "-tf", box.path("real")]));
  }));

test("an output that cannot be written says so, and one that is cut off is not left", (box) =>
  withImage(box, async (image) => {
    const missing = await box.crate(["save", "-o", box.path("no/such/file"), image]);
    assert.equal(missing.code, 125);
    assert.match(missing.stderr, /^crate: --output .*no\/such\/file cannot be written: ENOENT\n$/);
    Deno.mkdirSync(box.path("full"));
    await execute(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", box.path("full")]);
    try {
      const full = await box.crate(["save", "-o", box.path("full/archive"), image]);
      assert.equal(full.code, 125);
      assert.match(full.stderr, /^crate: --output .*full\/archive cannot be written: ENOSPC\n$/);
      assert.deepEqual([...Deno.readDirSync(box.path("full"))], []);
    } finally {
      await execute(["umount", box.path("full")]);
    }
  }));

test("a root filesystem becomes an image with what --change says", async (box) => {
  Deno.mkdirSync(box.path("root/bin"), { recursive: true });
  Deno.copyFileSync("/bin/busybox", box.path("root/bin/sh"));
  Deno.chmodSync(box.path("root/bin/sh"), 0o755);
  await execute(["tar", "-C", box.path("root"), "-cf", box.path("root.tar"), "."]);
  const changes = ['ENTRYPOINT ["/bin/sh", "-c"]', "CMD echo $A $(id -u)", "ENV A='b c'", "USER 7"];
  const words = [
    "import",
    "-q",
    ...changes.flatMap((change) => ["--change", change]),
    "-m",
    "made",
  ];
  const id = await box.ok([...words, box.path("root.tar"), "mine"]);
  assert.match(id, /^sha256:[0-9a-f]{64}$/);
  const [inspected] = JSON.parse(await box.ok(["inspect", "mine"]));
  assert.deepEqual(inspected.Config.Env, ["A=b c"]);
  assert.deepEqual(inspected.Config.Cmd, ["/bin/sh", "-c", "echo $A $(id -u)"]);
  assert.match(await box.ok(["history", "mine"]), /made/);
  assert.equal(await box.ok(["run", "--rm", "mine", "echo $A $(id -u)"]), "b c 7");

  // Compressed, from a pipe, without a name.
  Deno.writeFileSync(box.path("root.tar.gz"), gzipSync(Deno.readFileSync(box.path("root.tar"))));
  const { words: line, env } = box.commandLine(["import", "-q", "-"]);
  const script = 'file=$0; cat "$file" | "$@"';
  const piped = await execute(["sh", "-c", script, box.path("root.tar.gz"), ...line], { env });
  assert.notEqual(piped.trim(), id);
  assert.equal(await box.ok(["run", "--rm", piped.trim(), "/bin/sh", "-c", "echo up"]), "up");
  await execute(["xz", "-k", box.path("root.tar")]);
  const foreign = await box.crate(["import", box.path("root.tar.xz")]);
  assert.match(
    foreign.stderr,
    /^crate: .*root\.tar\.xz is compressed by xz, which crate does not know/,
  );
  // Nor what is read as an archive of images, from a file or a pipe.
  await execute(["bzip2", "-k", box.path("root.tar")]);
  for (const [end, what] of [["xz", "xz"], ["bz2", "bzip2"]] as const) {
    const file = box.path(`root.tar.${end}`);
    const sentence = new RegExp(` is compressed by ${what}, which crate does not know: .*\\n$`);
    assert.match((await box.crate(["load", "-i", file])).stderr, sentence);
    const { stderr } = await box.host(`cat ${file} | "$@"`, ["load"]);
    assert.match(stderr, sentence);
  }
  for (const words of [["load", "-i", box.path("root")], ["import", box.path("root")]]) {
    assert.match(
      (await box.crate(words)).stderr,
      /^crate: .*\/root is a directory, and no archive\n$/,
    );
  }
});

test("a load that is killed anywhere leaves nothing that the next one minds", (box) =>
  withImage(box, async (image) => {
    const file = box.path("archive.tar");
    await box.ok(["save", "-o", file, image]);
    const id = await idOf(box, image);
    await box.ok(["rmi", "-f", id]);
    for (let i = 0; i < 12; i++) {
      const script = `"$@" & sleep ${(0.02 + 0.01 * i).toFixed(3)}; kill -9 $!; wait`;
      await box.host(script, ["load", "-q", "-i", file]);
    }
    await box.ok(["load", "-q", "-i", file]);
    assert.equal(await box.ok(["run", "--rm", image]), "from a file");
    await box.ok(["rmi", "-f", id]);
    const left = await execute(["find", box.imageRoot, "-type", "f", "-path", "*sha256*"]);
    assert.equal(left, "", "no blob, part or layer is left");
  }));
