import assert from "node:assert/strict";
import { OCI_LAYER } from "../documents/mod.ts";
import {
  assertWhole,
  blobOf,
  blobsOf,
  bytesOf,
  drain,
  give,
  imageOf,
  indexOf,
  names,
  put,
  streamOf,
  test,
} from "./_images.ts";
import { openStore } from "./mod.ts";

test("an image that was put is listed, found, read and inspected", async (store) => {
  const image = imageOf(["one", "two"]);
  await put(store, "alpine", image);
  const [listed, ...others] = store.list();
  assert.equal(others.length, 0);
  assert.equal(listed!.id, image.config.descriptor.digest);
  assert.deepEqual(listed!.names, ["docker.io/library/alpine:latest"]);
  assert.deepEqual(listed!.descriptor, image.root.descriptor);
  const { content } = store.find("alpine").image;
  assert.deepEqual(content!.config.config, { Cmd: ["sh"] });
  const sizes = [image.root, image.config, ...image.layers].map(({ bytes }) => bytes.length);
  assert.equal(content!.compressed, sizes.reduce((a, b) => a + b));
  assert.equal(content!.unpacked, 2 * 71);
  const source = store.source("alpine");
  assert.deepEqual((await source.root()).bytes, image.root.bytes);
  assert.deepEqual(await source.document(image.config.descriptor), image.config.bytes);
  assert.deepEqual(await drain(await source.blob(image.layers[1]!.descriptor)), bytesOf("two"));
  const from = await source.blob(image.layers[1]!.descriptor, { offset: 1 });
  assert.deepEqual(await drain(from), bytesOf("wo"));
  const inspection = store.inspect("alpine");
  assert.equal(inspection.Id, listed!.id);
  assert.deepEqual(inspection.RepoTags, ["alpine:latest"]);
  assert.deepEqual(inspection.RepoDigests, [`alpine@${image.root.descriptor.digest}`]);
  assert.deepEqual(inspection.RootFS.Layers, image.diffIds);
  assert.deepEqual(store.history("alpine").map(({ createdBy }) => createdBy), [
    "ADD two",
    "ADD one",
  ]);
  assert.equal(store.history("alpine")[0]!.id, listed!.id);
  await assertWhole(store);
});

test("a store that is opened again has what it had", async (store) => {
  await put(store, "alpine", imageOf(["one"]));
  const again = await openStore(store.root);
  assert.deepEqual(again.list(), store.list());
});

test("a store's directory is its owner's alone", (store) => {
  assert.equal(Deno.statSync(store.root).mode! & 0o777, 0o700);
  return Promise.resolve();
});

test("files of a new store that a power failure left empty are written again", async (store) => {
  const { root } = store;
  for (const file of ["crate/version", "oci-layout", "index.json"]) {
    Deno.truncateSync(`${root}/${file}`);
  }
  assert.deepEqual((await openStore(root)).list(), []);
  assert.equal(Deno.readTextFileSync(`${root}/crate/version`), "1\n");
  assert.match(Deno.readTextFileSync(`${root}/oci-layout`), /^\{"imageLayoutVersion":"1/);
});

test("a store of another version is refused, and its sentence says what helps", async (store) => {
  Deno.writeTextFileSync(`${store.root}/crate/version`, "2\n");
  await assert.rejects(openStore(store.root), {
    code: "UNSUPPORTED",
    message: /version says "2", this crate knows version 1: .* image_root/,
  });
});

test("a store where a file is in the way is a sentence", async (_, directory) => {
  Deno.writeTextFileSync(`${directory}/file`, "");
  await assert.rejects(openStore(`${directory}/file/store`), {
    code: "FAILED",
    message: /^cannot make the image store in .*\/file\/store: mkdirat .*ENOTDIR$/,
  });
});

test("what is wrong is not put: a blob of other bytes, too few, too many", async (store) => {
  const { descriptor } = blobOf("right");
  using sink = await store.sink("alpine");
  for (
    const [bytes, why] of [
      ["wrong", /has the content of sha256:/],
      ["righ", /has 4 bytes, its descriptor says 5/],
      ["right!", /is longer than the 5 bytes/],
    ] as const
  ) {
    await assert.rejects(sink.putBlob(descriptor, give(bytesOf(bytes))), {
      code: "INVALID",
      message: why,
    });
    assert.equal(await sink.hasBlob(descriptor), false);
  }
  await sink.putBlob(descriptor, () => Promise.resolve(streamOf(bytesOf("ri"), bytesOf("ght"))));
  assert.equal(await sink.hasBlob(descriptor), true);
  const { root } = imageOf(["one"]);
  await assert.rejects(
    sink.putDocument({ ...root, descriptor: { ...root.descriptor, size: 1 } }),
    { code: "INVALID", message: /\(1 bytes\) is sha256:/ },
  );
});

test("a name is not given to what is not there", async (store) => {
  await assert.rejects(store.putName("alpine", imageOf(["one"]).root.descriptor), {
    code: "NOT_FOUND",
  });
  assert.deepEqual(store.list(), []);
});

test("a damaged blob is an error that names the file, when it has been read", async (store) => {
  const image = imageOf(["one"]);
  await put(store, "alpine", image);
  const path = (digest: string) => `${store.root}/blobs/${digest.replace(":", "/")}`;
  const layer = image.layers[0]!.descriptor;
  Deno.writeTextFileSync(path(layer.digest), "two");
  const source = store.source("alpine");
  const failure = {
    code: "FAILED",
    message: /blobs\/sha256\/[0-9a-f]{64} has the content of .*pull/,
  };
  await assert.rejects(source.blob(layer).then(drain), failure);
  Deno.writeTextFileSync(path(layer.digest), "longer");
  await assert.rejects(source.blob(layer), { code: "FAILED", message: /has 6 bytes instead of 3/ });

  const { descriptor, bytes } = image.config;
  Deno.writeFileSync(path(descriptor.digest), new Uint8Array(bytes.length));
  await assert.rejects(source.document(descriptor), failure);
  const [broken] = store.list();
  assert.match(broken!.problem!.message, failure.message);
  assert.throws(() => store.inspect("alpine"), failure);

  // Another pull puts right what it can see is wrong.
  await put(store, "alpine", image, { unpack: false });
  Deno.removeSync(path(descriptor.digest));
  await put(store, "alpine", image, { unpack: false });
  await assertWhole(store);
});

test("an index leads to this machine's image, or to the platform that was asked for", async (store) => {
  const amd64 = { os: "linux", architecture: "amd64" };
  const arm64 = { os: "linux", architecture: "arm64" };
  const [one, two] = [imageOf(["one"], amd64), imageOf(["two"], arm64)];
  const root = indexOf([[one, amd64], [two, arm64]]);
  await put(store, "alpine", one, { root });
  const only = store.find("alpine").image;
  assert.equal(only.id, one.config.descriptor.digest);
  assert.equal(only.descriptor.digest, root.descriptor.digest);
  assert.throws(() => store.inspect("alpine", { platform: arm64 }), { code: "NOT_FOUND" });

  await put(store, "alpine", two, { root });
  const chosen = store.find("alpine", { platform: arm64 }).image;
  assert.equal(chosen.id, two.config.descriptor.digest);
  assert.equal(store.list().length, 1);
  assert.equal((await store.remove("alpine")).blobs.length, 7);
  assert.deepEqual(blobsOf(store), []);
});

test("a name without a registry is one of podman's own images, too, where there is no other", async (store) => {
  const [own, hub] = [imageOf(["own"]), imageOf(["hub"])];
  await put(store, "localhost/base", own);
  const found = store.find("base");
  assert.deepEqual([found.image.id, found.name], [
    own.config.descriptor.digest,
    "localhost/base:latest",
  ]);
  assert.equal(store.tryFind("docker.io/library/base"), undefined);
  assert.equal(store.tryFind("example.org/base"), undefined);
  assert.equal(store.tryFind("base:2"), undefined);
  await put(store, "base", hub);
  assert.equal(store.find("base").image.id, hub.config.descriptor.digest);
  await store.remove("base");
  await store.remove("base");
  assert.deepEqual(store.list(), []);
});

test("df counts what is shared once, and what is in part", async (store, directory) => {
  const [one, two] = [imageOf(["shared", "1"]), imageOf(["shared", "2"])];
  await put(store, "one", one);
  await put(store, "two", two);
  {
    using lease = await store.lease();
    using partial = await store.partial(lease, blobOf("in part").descriptor);
    partial!.append(bytesOf("in p"));
  }
  const blobs = new Set([one, two].flatMap(({ layers, config, root }) =>
    [...layers, config, root]
      .map(({ descriptor }) => JSON.stringify(descriptor))
  ));
  const compressed = [...blobs].reduce((sum, text) => sum + JSON.parse(text).size, 0);
  const before = store.diskUsage(() => false);
  assert.deepEqual(before.layers, { total: 3, active: 0, size: 213, reclaimable: 213 });
  assert.equal(before.images.size, compressed + 213);
  assert.deepEqual(before.partials, { total: 1, active: 0, size: 4, reclaimable: 4 });

  using _ = await store.pin(store.find("one").image, { id: "c", directory });
  const { images, layers } = store.diskUsage(() => false);
  assert.deepEqual([images.total, images.active], [2, 1]);
  assert.deepEqual([layers.active, layers.reclaimable], [2, 71]);
});

test(
  "df counts what containers have written, and what they have left",
  async (store, directory) => {
    const size = 1 << 20;
    const root = { mode: 0o755, uid: Deno.uid()!, gid: Deno.gid()! };
    for (const name of ["one", "two"]) {
      const files = store.containerFiles();
      using _ = await files.make({ directory: `${directory}/${name}`, root, volumes: 0 });
      Deno.writeFileSync(`${files.upper}/file`, new Uint8Array(size));
      Deno.mkdirSync(`${directory}/${name}`);
      Deno.writeTextFileSync(`${directory}/${name}/container.json`, JSON.stringify(files));
    }
    const asked: string[] = [];
    const look = () => {
      asked.length = 0;
      return store.diskUsage((path) => asked.push(path) > 0 && path.endsWith("one")).containers;
    };
    const both = look();
    assert.deepEqual([both.total, both.active], [2, 1]);
    assert.ok(both.size >= 2 * size && both.size < 3 * size, `${both.size}`);
    assert.ok(both.reclaimable >= size && both.reclaimable < 2 * size, `${both.reclaimable}`);
    assert.deepEqual(asked.toSorted(), [`${directory}/one`, `${directory}/two`]);
    // One that is gone is no container any more, and what it wrote is there until the next command.
    Deno.removeSync(`${directory}/one`, { recursive: true });
    assert.deepEqual(look(), { ...both, active: 0, reclaimable: both.size });
    assert.deepEqual(asked, [`${directory}/two`]);
    await store.prune();
    assert.equal(look().total, 1);
  },
);

test("a layer that was not synced counts in this boot only", async (store) => {
  const image = imageOf(["one"]);
  await put(store, "alpine", image);
  const [chainId] = image.chainIds;
  const [record] = names(`${store.root}/crate/layers`);
  const path = `${store.root}/crate/layers/${record}`;
  const { boot, ...rest } = JSON.parse(Deno.readTextFileSync(path));
  assert.match(boot, /^[0-9a-f-]{36}$/);
  Deno.writeTextFileSync(path, JSON.stringify({ ...rest, boot: "another" }));
  assert.equal(store.layer(chainId!), undefined);
  // What remains of it goes, and it is unpacked anew.
  await store.collect();
  assert.deepEqual(names(`${store.root}/crate/l`), []);
  await put(store, "alpine", image);
  await store.settle();
  assert.equal("boot" in JSON.parse(Deno.readTextFileSync(path)), false);
  assert.equal(store.layer(chainId!)!.size, 71);
});

test("a record that a crash has cut means that the layer is not there", async (store) => {
  const image = imageOf(["one"]);
  await put(store, "alpine", image);
  const [record] = names(`${store.root}/crate/layers`);
  Deno.writeTextFileSync(`${store.root}/crate/layers/${record}`, '{"tree":"');
  assert.equal(store.layer(image.chainIds[0]!), undefined);
  await put(store, "alpine", image);
  assert.notEqual(store.layer(image.chainIds[0]!), undefined);
});

test("a blob of nothing, and one of sha512, are blobs", async (store) => {
  using lease = await store.lease();
  const empty = blobOf("").descriptor;
  using partial = await store.partial(lease, empty);
  await partial!.commit(empty.digest);
  const hex =
    "ee26b0dd4af7e749aa1a8ee3c10ae9923f618980772e473f8819a5d4940e0db27ac185f8a0e1d5f84f88bc" +
    "887fd67b143732c304cc5fa9ad8e6f57f50028a8ff";
  const long = { mediaType: OCI_LAYER, digest: `sha512:${hex}`, size: 4 } as const;
  using sink = await store.sink();
  await sink.putBlob(long, give(bytesOf("test")));
  assert.equal(await sink.hasBlob(long), true);
});

test("what is left unfinished goes even where the list of images is lost", async (store) => {
  Deno.writeTextFileSync(`${store.root}/crate/tmp/0123456789abcdef`, "half a document");
  Deno.removeSync(`${store.root}/index.json`);
  await openStore(store.root);
  assert.deepEqual([...Deno.readDirSync(`${store.root}/crate/tmp`)], []);
  assert.deepEqual(store.list(), []);
});
