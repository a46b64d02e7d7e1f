import assert from "node:assert/strict";
import { digestHex } from "../names/mod.ts";
import { assertWhole, blobOf, blobsOf, bytesOf, imageOf, names, put, test } from "./_images.ts";

test("rmi takes a name, and with the last one the image and what only it needed", async (store) => {
  const [one, two] = [imageOf(["shared", "1"]), imageOf(["shared", "2"])];
  await put(store, "one", one);
  await put(store, "two", two);
  await store.tag("one", "uno:1");
  assert.deepEqual(store.find("uno:1").image.names, [
    "docker.io/library/one:latest",
    "docker.io/library/uno:1",
  ]);
  const first = await store.remove("one");
  assert.deepEqual(first.untagged, ["docker.io/library/one:latest"]);
  assert.deepEqual([first.deleted, first.blobs, first.layers], [[], [], []]);
  const second = await store.remove("uno:1");
  assert.deepEqual(second.deleted, [one.config.descriptor.digest]);
  assert.deepEqual(second.layers, [one.chainIds[1]]);
  const own = [one.root, one.config, one.layers[1]!].map(({ descriptor }) => descriptor.digest);
  assert.deepEqual([...second.blobs].sort(), own.sort());
  await assertWhole(store);
  await store.remove("two");
  assert.deepEqual([store.list(), blobsOf(store)], [[], []]);
  assert.deepEqual(names(`${store.root}/crate/l`), []);
});

test("an image by its ID goes with all its names, of one repository; of several by force", async (store) => {
  const image = imageOf(["one"]);
  await put(store, "one", image);
  await store.tag("one", "one:2");
  await store.tag("one", "other");
  const id = digestHex(image.config.descriptor.digest);
  await assert.rejects(store.remove(id.slice(0, 5)), {
    code: "STATE",
    message: /several repositories \(one:2, one:latest, other:latest\)/,
  });
  await store.remove("other");
  const { untagged } = await store.remove(id.slice(0, 5));
  assert.deepEqual(untagged, ["docker.io/library/one:2", "docker.io/library/one:latest"]);
  await put(store, "one", image);
  await store.tag("one", "other");
  assert.equal((await store.remove(id, { force: true })).untagged.length, 2);
  assert.deepEqual(store.list(), []);
});

test("the image whose name another one gets stays without a name until it is pruned", async (store) => {
  const [old, young] = [imageOf(["old"]), imageOf(["young"])];
  await put(store, "alpine", old);
  await put(store, "alpine", young);
  const images = store.list();
  assert.deepEqual(images.map((image) => image.names), [["docker.io/library/alpine:latest"], []]);
  assert.equal(images[1]!.id, old.config.descriptor.digest);
  // Put again under its name, it has one again, and the other has none.
  await put(store, "alpine", old);
  assert.equal(store.list()[1]!.id, young.config.descriptor.digest);
  const pruned = await store.prune();
  assert.deepEqual(pruned.deleted, [young.config.descriptor.digest]);
  assert.deepEqual(pruned.layers, young.chainIds);
  await assertWhole(store);
  assert.equal(store.list().length, 1);
  assert.deepEqual((await store.prune({ all: true })).untagged, [
    "docker.io/library/alpine:latest",
  ]);
  assert.deepEqual(blobsOf(store), []);
});

test("removeName leaves the image", async (store) => {
  await put(store, "alpine", imageOf(["one"]));
  await store.removeName("alpine");
  assert.deepEqual(store.list().map((image) => image.names), [[]]);
  await assertWhole(store);
});

test(
  "what a container uses is not removed, and with force only its names",
  async (store, directory) => {
    const image = imageOf(["one"]);
    await put(store, "alpine", image);
    const state = `${directory}/web`;
    Deno.mkdirSync(state);
    (await store.pin(store.find("alpine").image, { id: "web", directory: state }))
      [Symbol.dispose]();
    const id = digestHex(image.config.descriptor.digest);
    for (const word of ["alpine", id]) {
      await assert.rejects(store.remove(word), {
        code: "STATE",
        message: new RegExp(
          `"${word}" \\(${id.slice(0, 12)}\\) is used by container "web".*delete web`,
        ),
      });
    }
    assert.deepEqual((await store.prune({ all: true })).deleted, []);
    const { untagged, deleted } = await store.remove("alpine", { force: true });
    assert.deepEqual([untagged.length, deleted], [1, []]);
    assert.notEqual(store.layer(image.chainIds[0]!), undefined);
    await store.prune();
    await assertWhole(store);
    assert.equal(store.list().length, 1);
    Deno.removeSync(state);
    assert.deepEqual((await store.prune()).deleted, [image.config.descriptor.digest]);
    assert.deepEqual(names(`${store.root}/crate/pins`), []);
  },
);

test(
  "a pin counts before its container's directory is there, as long as its owner lives",
  async (store, directory) => {
    const image = imageOf(["one"]);
    await put(store, "alpine", image);
    const container = { id: "web", directory: `${directory}/web` };
    const pin = await store.pin(store.find("alpine").image, container);
    await assert.rejects(store.remove("alpine"), { code: "STATE" });
    pin[Symbol.dispose]();
    assert.equal((await store.remove("alpine")).deleted.length, 1);

    await put(store, "alpine", image);
    (await store.pin(store.find("alpine").image, container)).remove();
    assert.equal((await store.remove("alpine")).deleted.length, 1);

    await put(store, "alpine", image);
    Deno.mkdirSync(container.directory);
    (await store.pin(store.find("alpine").image, container))[Symbol.dispose]();
    store.unpin(container.directory);
    assert.equal((await store.remove("alpine")).deleted.length, 1);
  },
);

test("an image with a layer that is not unpacked is not pinned", async (store, directory) => {
  await put(store, "alpine", imageOf(["one"]), { unpack: false });
  await assert.rejects(store.pin(store.find("alpine").image, { id: "web", directory }), {
    code: "NOT_FOUND",
    message: /^layer sha256:.* is not in the store$/,
  });
  assert.deepEqual(names(`${store.root}/crate/pins`), []);
  assert.deepEqual(names(`${store.root}/crate/tmp`), []);
});

test("what a pull has put so far is not removed, nor what it has found there", async (store) => {
  const [image, shared] = [imageOf(["one", "two"]), imageOf(["one"])];
  await put(store, "shared", shared);
  using sink = await store.sink("alpine");
  assert.equal(await sink.hasBlob(shared.layers[0]!.descriptor), true);
  {
    await using layer = await store.newLayer(sink.lease, image.chainIds[1]!);
    assert.equal(await store.newLayer(sink.lease, image.chainIds[0]!), undefined);
    const { descriptor, bytes } = image.layers[1]!;
    const partial = await store.partial(sink.lease, descriptor);
    partial!.append(bytes);
    Deno.writeTextFileSync(`${layer!.path}/file`, image.chainIds[1]!);
    await store.remove("shared");
    await store.prune({ all: true });
    await partial!.commit(descriptor.digest);
    await store.prune({ all: true });
    await layer!.commit({ size: 71, entries: 1 });
  }
  await sink.putDocument(image.config);
  await store.prune({ all: true });
  await sink.putRoot(image.root);
  sink[Symbol.dispose]();
  await store.prune();
  await assertWhole(store);
  assert.equal(store.list().length, 1);
});

test("what was put and never got a name goes when its command has ended", async (store) => {
  const image = imageOf(["one"]);
  using sink = await store.sink("alpine");
  await sink.putDocument(image.config);
  await store.collect();
  assert.equal(blobsOf(store).length, 1);
  sink[Symbol.dispose]();
  assert.equal((await store.collect()).blobs.length, 1);
});

test("prune removes blobs in part that nobody is fetching", async (store) => {
  using lease = await store.lease();
  const [idle, busy] = [blobOf("idle").descriptor, blobOf("busy").descriptor];
  (await store.partial(lease, idle))!.release();
  using partial = await store.partial(lease, busy);
  partial!.append(bytesOf("bu"));
  await store.collect();
  assert.equal(names(`${store.root}/crate/partial`).length, 2);
  await store.prune();
  assert.deepEqual(names(`${store.root}/crate/partial`), [busy.digest.replace(":", "-")]);
});

test("an image that cannot be read is listed with its problem, and can be removed", async (store) => {
  const image = imageOf(["one"]);
  await put(store, "alpine", image);
  const path = `${store.root}/blobs/${image.root.descriptor.digest.replace(":", "/")}`;
  Deno.writeTextFileSync(path, "{");
  const [broken] = store.list();
  assert.match(broken!.problem!.message, /has 1 bytes instead of/);
  await store.remove("alpine");
  assert.deepEqual([store.list(), blobsOf(store)], [[], []]);
});
