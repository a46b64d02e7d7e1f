// Not in the virtual machine: images know nothing of cgroups, and a registry in an emulated machine is slow
// Images as people use them: pulled from Debian's docker-registry, listed, run, removed.
import assert from "node:assert/strict";
import { BUSYBOX, makeImage } from "./support/image.ts";
import { execute, Registry } from "./support/registry.ts";
import { type Sandbox, test } from "./support/mod.ts";
import { SCALE } from "./support/snapshot.ts";

const CONFIG = {
  entrypoint: ["/bin/sh", "-c"],
  cmd: ["id -u; pwd; echo $GREETING $HOME"],
  env: ["GREETING=hello"],
  user: "app",
  workingDir: "/bin",
  labels: { kind: "test" },
};

/** A registry with one image, `test/image:1`: busybox, then a layer over it. */
async function withImage(
  box: Sandbox,
  use: (image: string, registry: Registry) => Promise<void>,
): Promise<void> {
  const top = { "etc/motd": "second\n", "etc/passwd": "app:x:77:77::/home/second:/bin/sh\n" };
  const layers = [{ ...BUSYBOX, "old/file": "first\n" }, { ...top, "old/file": null }];
  const from = await makeImage(box.path("image"), layers, CONFIG);
  await using registry = await Registry.start();
  await registry.push(from, "test/image:1");
  await use(`${registry.host}/test/image:1`, registry);
}

async function names(box: Sandbox): Promise<string[]> {
  const listed = JSON.parse(await box.ok(["images", "--format", "json"]));
  return listed.flatMap((image: { names: string[] }) => image.names);
}

test("an image is pulled, and runs as its configuration says", (box) =>
  withImage(box, async (image) => {
    const pulled = await box.crate(["pull", image]);
    assert.equal(pulled.code, 0, pulled.stderr);
    assert.match(pulled.stdout, /test\/image:1: pulled, sha256:[0-9a-f]{64}\n$/);
    assert.match(pulled.stderr, /^([0-9a-f]{12}: (Downloading|Done)\n)+$/);
    // The user's number and home are the upper layer's.
    assert.equal(await box.ok(["run", "--rm", image]), "77\n/bin\nhello /home/second");
    const script = "cat /etc/motd; test -e /old/file || echo gone";
    assert.equal(await box.ok(["run", "--rm", image, script]), "second\ngone");
    assert.deepEqual(await names(box), [image]);
  }));

test("words replace Cmd, --entrypoint both, and -u, -w and -e what the image says", (box) =>
  withImage(box, async (image) => {
    await box.ok(["pull", "-q", image]);
    const own = ["-u", "1:2", "-w", "/etc", "-e", "GREETING=hi"];
    const script = 'echo "$(id -u):$(id -g) $PWD $GREETING"';
    assert.equal(await box.ok(["run", "--rm", ...own, image, script]), "1:2 /etc hi");
    const words = ["run", "--rm", "--entrypoint", "echo", image];
    assert.equal(await box.ok(words), "", "the image's Cmd is for its own Entrypoint");
    assert.equal(await box.ok([...words, "a", "b"]), "a b");
  }));

test("what a container of an image writes is gone with it, or in --keep's directory", (box) =>
  withImage(box, async (image) => {
    await box.ok(["pull", "-q", image]);
    const root = ["-u", "0", image];
    const script = "echo mine > /etc/motd";
    await box.ok(["run", "--rm", ...root, script]);
    assert.equal(await box.ok(["run", "--rm", ...root, "cat /etc/motd"]), "second");
    const keep = ["--keep", box.path("kept")];
    await box.ok(["run", "--rm", ...keep, ...root, script]);
    assert.equal(await box.ok(["run", "--rm", ...keep, ...root, "cat /etc/motd"]), "mine");
    assert.equal(Deno.readTextFileSync(box.path("kept/upper/etc/motd")), "mine\n");
  }));

test("an image that a container uses stays, and goes when the container has gone", (box) =>
  withImage(box, async (image) => {
    await box.ok(["pull", "-q", image]);
    const id = await box.ok(["run", "-d", "--entrypoint", "/bin/sleep", image, "1000"]);
    const { code, stderr } = await box.crate(["rmi", image]);
    assert.equal(code, 125);
    assert.match(stderr, new RegExp(`^crate: image .* is used by container "${id}": .*\n$`));
    await box.ok(["delete", "-f", id]);
    assert.match(await box.ok(["rmi", image]), /^Untagged: .*\nDeleted: sha256:/);
    assert.deepEqual(await names(box), []);
    assert.deepEqual([...Deno.readDirSync(`${box.imageRoot}/blobs/sha256`)], []);
    assert.deepEqual([...Deno.readDirSync(`${box.imageRoot}/crate/l`)], []);
  }));

test("run pulls what is not there, unless --pull says otherwise", (box) =>
  withImage(box, async (image) => {
    const never = await box.crate(["run", "--rm", "--pull", "never", image]);
    assert.deepEqual([never.code, never.stdout], [125, ""]);
    assert.match(never.stderr, /^crate: image .* is not in the store, and --pull=never\n$/);
    const first = await box.crate(["run", "--rm", image, "echo ran"]);
    assert.deepEqual([first.code, first.stdout], [0, "ran\n"]);
    const second = await box.crate(["run", "--rm", image, "echo ran"]);
    assert.deepEqual(second, { ...first, stderr: "" });
  }));

test("a second pull fetches nothing, and -q prints the digest alone", (box) =>
  withImage(box, async (image) => {
    const digest = await box.ok(["pull", "-q", image]);
    assert.match(digest, /^sha256:[0-9a-f]{64}$/);
    const { stdout, stderr } = await box.crate(["pull", image]);
    assert.equal(stdout, `${image}: is up to date, ${digest}\n`);
    assert.match(stderr, /^([0-9a-f]{12}: (Already exists|Done)\n)+$/);
  }));

test("eight pulls of one image at once all succeed", (box) =>
  withImage(box, async (image) => {
    const pulls = Array.from({ length: 8 }, () => box.ok(["pull", "-q", image]));
    assert.equal(new Set(await Promise.all(pulls)).size, 1);
    assert.equal(await box.ok(["run", "--rm", image, "cat /etc/motd"]), "second");
  }));

test("a pull that is killed anywhere leaves nothing that the next one minds", (box) =>
  withImage(box, async (image) => {
    const times = Math.max(4, Math.round(24 * SCALE));
    for (let i = 0; i < times; i++) {
      const script = `"$@" & sleep ${(0.02 + (0.4 * i) / times).toFixed(3)}; kill -9 $!; wait`;
      await box.host(script, ["pull", "-q", image]);
      assert.ok((await names(box)).every((name) => name === image));
    }
    await box.ok(["pull", "-q", image]);
    assert.equal(await box.ok(["run", "--rm", image, "cat /etc/motd"]), "second");
    await box.ok(["rmi", image]);
    for (const folder of ["tmp", "partial", "leases", "locks", "l"]) {
      assert.deepEqual([...Deno.readDirSync(`${box.imageRoot}/crate/${folder}`)], [], folder);
    }
  }));

test("a blob that was changed in the registry is refused, and the store has no image", (box) =>
  withImage(box, async (image, registry) => {
    const inspected = await execute([
      ...["skopeo", "inspect", "--raw", ...registry.skopeoWords("")],
      `docker://${image}`,
    ]);
    const [layer] = JSON.parse(inspected).layers;
    const [algorithm, hex] = layer.digest.split(":");
    const blob = `${registry.storage}/docker/registry/v2/blobs/${algorithm}/${
      hex.slice(0, 2)
    }/${hex}/data`;
    const bytes = Deno.readFileSync(blob);
    bytes[bytes.length >> 1]! ^= 1;
    Deno.writeFileSync(blob, bytes);
    const { code, stdout, stderr } = await box.crate(["pull", "-q", image]);
    assert.deepEqual([code, stdout], [125, ""]);
    assert.match(stderr, /^crate: [^\n]*\n$/);
    assert.ok(stderr.includes(hex), stderr);
    assert.deepEqual(await names(box), []);
  }));

test("a full disk is one sentence, and leaves a store that works", (box) =>
  withImage(box, async (image) => {
    const small = box.mkdir("small");
    const script = `mount -t tmpfs -o size=2m tmpfs ${small} && export CRATE_IMAGE_ROOT=${small};
      "$@" pull -q ${image}; echo $?; "$@" images -q; ls ${small}/crate/l ${small}/crate/tmp`;
    const inner = `unshare --mount --propagation private bash -c '${script}' bash "$@"`;
    const { stdout, stderr } = await box.host(inner);
    assert.match(stderr, /^crate: [^\n]*no space left[^\n]*\n$/i);
    assert.equal(stdout, `125\n${small}/crate/l:\n\n${small}/crate/tmp:\n`);
  }));

test("wherever the room ends in a pull, it is one sentence, and the pull goes on when there is more", (box) =>
  withImage(box, async (image) => {
    const small = box.mkdir("small");
    // In steps of 256 KiB, each on the store that the last one has left.
    const script = `mount -t tmpfs -o size=256k tmpfs ${small} && export CRATE_IMAGE_ROOT=${small};
      for i in $(seq 1 40); do
        mount -o remount,size=$((i * 256))k ${small}; "$@" pull -q ${image} 2>&1; code=$?; echo "code $code"
        [ $code = 0 ] && break; "$@" images -q 2>&1; ls ${small}/crate/l ${small}/crate/tmp 2>/dev/null | grep -v :
      done; "$@" run --rm ${image} "cat /etc/motd"`;
    const inner = `unshare --mount --propagation private bash -c '${script}' bash "$@"`;
    const { stdout, stderr } = await box.host(inner);
    assert.equal(stderr, "");
    const lines = stdout.split("\n").filter((line) => line !== "");
    const failures = lines.filter((line) => line === "code 125").length;
    assert.ok(failures > 5, stdout);
    for (const line of lines.slice(0, -3)) {
      assert.match(line, /^(code 125|crate: [^\n]*(no space left|ENOSPC)[^\n]*)$/i, stdout);
    }
    assert.deepEqual(lines.slice(-2), ["code 0", "second"], stdout);
  }));

test("an image of 128 layers is loaded and runs", async (box) => {
  Deno.mkdirSync(box.path("layers"));
  const paths: string[] = [];
  const diffIds: string[] = [];
  await execute(["tar", "-C", box.rootfs, "-cf", `${box.path("layers")}/0.tar`, "."]);
  for (let i = 1; i < 128; i++) {
    box.mkdir(`in/srv/${i}`);
    Deno.writeTextFileSync(box.path(`in/srv/${i}/file`), `${i}\n`);
    await execute([
      "tar",
      "-C",
      box.path("in"),
      "-cf",
      `${box.path("layers")}/${i}.tar`,
      `srv/${i}`,
    ]);
  }
  for (let i = 0; i < 128; i++) {
    paths.push(`${i}.tar`);
    const bytes = Deno.readFileSync(`${box.path("layers")}/${i}.tar`);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    diffIds.push(`sha256:${digest.toHex()}`);
  }
  const config = {
    os: "linux",
    architecture: "amd64",
    rootfs: { type: "layers", diff_ids: diffIds },
  };
  const list = [{ Config: "config.json", RepoTags: ["many:1"], Layers: paths }];
  Deno.writeTextFileSync(`${box.path("layers")}/config.json`, JSON.stringify(config));
  Deno.writeTextFileSync(`${box.path("layers")}/manifest.json`, JSON.stringify(list));
  await execute(["tar", "-C", box.path("layers"), "-cf", box.path("many.tar"), "."]);
  assert.equal(await box.ok(["load", "-q", "-i", box.path("many.tar")]), "Loaded image: many:1");
  const script = "cat /srv/1/file /srv/127/file; ls /srv | wc -l";
  assert.equal(await box.ok(["run", "--rm", "many:1", "/bin/sh", "-c", script]), "1\n127\n127");
});

test("what cannot be pulled is one sentence that says why", (box) =>
  withImage(box, async (image, { host }) => {
    const cases: [string[], RegExp][] = [
      [["pull", `${host}/test/none`], /test\/none:latest is not in the registry/],
      [["pull", "127.0.0.1:1/a"], /cannot reach 127\.0\.0\.1:1: it is at a port that HTTP keeps/],
      [["pull", "127.0.0.1:2/a"], /cannot reach 127\.0\.0\.1:2: it refuses connections/],
      [["pull", "Upper"], /"Upper" has upper-case letters/],
      [["pull", "--platform", "linux/riscv64", image], /is for linux\/amd64 alone/],
      [["pull", "--platform", "a/b/c/d", image], /^crate: --platform: /],
      [["pull", "a".repeat(64)], /is an image's id/],
      [["rmi", "none"], /image "none" is not in the store/],
      [["inspect", "none"], /neither a container nor an image is called "none"/],
      [["image", "inspect", "none"], /image "none" is not in the store/],
      [["history", "none"], /image "none" is not in the store/],
      [["tag", "none", "other"], /image "none" is not in the store/],
      [["run", "--pull", "always", "/bin/true"], /--pull is for an image/],
    ];
    for (const [words, reason] of cases) {
      const { code, stderr } = await box.crate(words);
      assert.equal(code, 125, words.join(" "));
      assert.match(stderr, /^crate: [^\n]+\n$/, words.join(" "));
      assert.match(stderr, reason);
    }
    assert.deepEqual(await names(box), []);
  }));

test("tag, history, inspect, prune and df tell what is there", (box) =>
  withImage(box, async (image) => {
    await box.ok(["pull", "-q", image]);
    await box.ok(["tag", image, "mine"]);
    const table = await box.ok(["images"]);
    assert.match(table, /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE\n/);
    assert.match(table, /^mine +latest +[0-9a-f]{12} +(just now|.* ago) +\d+(\.\d+)?MB$/m);
    const [inspected] = JSON.parse(await box.ok(["inspect", "mine"]));
    assert.deepEqual(inspected.Config.Labels, CONFIG.labels);
    assert.deepEqual(inspected.RepoTags, [image, "mine:latest"]);
    for (const layer of inspected.GraphDriver.Data.LowerDir.split(":")) Deno.statSync(layer);
    assert.equal((await box.ok(["history", "mine"])).split("\n").length, 5);
    await box.ok(["rmi", image]);
    assert.match(await box.ok(["df"]), /^Images +1 +0 +/m);
    assert.match(await box.ok(["prune", "--all"]), /^Untagged: mine:latest\n/);
    assert.deepEqual(await names(box), []);
  }));

test("an image that has a layer twice is pulled, and its blob once", async (box) => {
  const from = await makeImage(box.path("image"), [BUSYBOX, { "a": "1" }, { "a": "2" }]);
  const layout = from.replace(/^oci:(.*):image$/, "$1");
  const blob = (digest: string) => `${layout}/blobs/${digest.replace(":", "/")}`;
  const put = async (value: unknown) => {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    Deno.writeFileSync(`${layout}/blobs/sha256/${hash}`, bytes);
    return { digest: `sha256:${hash}`, size: bytes.length };
  };
  const read = (path: string) => JSON.parse(Deno.readTextFileSync(path));
  // The second layer once more, on top.
  const index = read(`${layout}/index.json`);
  const manifest = read(blob(index.manifests[0].digest));
  const config = read(blob(manifest.config.digest));
  manifest.layers.push(manifest.layers[1]);
  config.rootfs.diff_ids.push(config.rootfs.diff_ids[1]);
  config.history = undefined;
  Object.assign(manifest.config, await put(config));
  Object.assign(index.manifests[0], await put(manifest));
  Deno.writeTextFileSync(`${layout}/index.json`, JSON.stringify(index));
  await using registry = await Registry.start();
  await registry.push(from, "test/twice:1");
  const image = `${registry.host}/test/twice:1`;
  await box.ok(["pull", "-q", image]);
  assert.equal(await box.ok(["run", "--rm", image, "cat", "/a"]), "1");
  await box.ok(["rmi", image]);
});
