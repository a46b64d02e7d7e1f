import assert from "node:assert/strict";
import { has, run } from "../../../ffi/_tools.ts";
import { digestOf, OCI_LAYER_GZIP, OCI_MANIFEST } from "../documents/mod.ts";
import { bytesOf, documentOf, drain, give, imageOf, put, streamOf, test } from "./_images.ts";

/** An empty tar, packed: others unpack it. */
async function packed() {
  const tar = new Uint8Array(10240);
  const gzip = streamOf(tar).pipeThrough(new CompressionStream("gzip"));
  const layer = documentOf(await drain(gzip), OCI_LAYER_GZIP);
  const { config } = imageOf([]);
  const document = JSON.parse(new TextDecoder().decode(config.bytes));
  document.rootfs.diff_ids = [digestOf(tar)];
  document.history = [{ created_by: "ADD nothing" }];
  const whole = documentOf(bytesOf(JSON.stringify(document)), config.descriptor.mediaType);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: whole.descriptor,
    layers: [layer.descriptor],
  };
  return {
    layer,
    config: whole,
    root: documentOf(bytesOf(JSON.stringify(manifest)), OCI_MANIFEST),
  };
}

test(
  "skopeo reads the store as it is, by the name an image has",
  async (store, directory) => {
    const { layer, config, root } = await packed();
    for (
      const word of ["alpine", "localhost:5000/a/b.c_d:1.2", "quay.io/x@" + root.descriptor.digest]
    ) {
      using sink = await store.sink(word);
      for (const { descriptor, bytes } of [layer, config]) {
        await sink.putBlob(descriptor, give(bytes));
      }
      await sink.putRoot(root);
    }
    for (const name of store.list()[0]!.names) {
      const shown = JSON.parse(await run("skopeo", ["inspect", `oci:${store.root}:${name}`]));
      assert.equal(shown.Digest, root.descriptor.digest, name);
      assert.deepEqual(shown.Layers, [layer.descriptor.digest]);
    }
    const source = `oci:${store.root}:docker.io/library/alpine:latest`;
    await run("skopeo", ["copy", source, `oci:${directory}/copy:alpine`]);
  },
  { ignore: !has("skopeo") },
);

test(
  "what skopeo copies into the store is an image of it",
  async (store, directory) => {
    const { layer, config, root } = await packed();
    const other = `${directory}/other`;
    {
      using sink = await (await (await import("./mod.ts")).openStore(other)).sink("alpine");
      for (const { descriptor, bytes } of [layer, config]) {
        await sink.putBlob(descriptor, give(bytes));
      }
      await sink.putRoot(root);
    }
    await put(store, "busybox", imageOf(["one"]));
    const target = `oci:${store.root}:docker.io/library/alpine:latest`;
    await run("skopeo", ["copy", `oci:${other}:docker.io/library/alpine:latest`, target]);
    assert.equal(store.find("alpine").image.id, config.descriptor.digest);
    assert.equal(store.list().length, 2);
    assert.equal((await store.remove("alpine")).deleted.length, 1);
    assert.equal(store.list().length, 1);
  },
  { ignore: !has("skopeo") },
);

test(
  "umoci lists the store's images and unpacks one",
  async (store, directory) => {
    const { layer, config, root } = await packed();
    using sink = await store.sink("alpine");
    for (const { descriptor, bytes } of [layer, config]) {
      await sink.putBlob(descriptor, give(bytes));
    }
    await sink.putRoot(root);
    const listed = await run("umoci", ["ls", "--layout", store.root]);
    assert.equal(listed, "docker.io/library/alpine:latest\n");
    const image = `${store.root}:docker.io/library/alpine:latest`;
    await run("umoci", ["raw", "unpack", "--rootless", "--image", image, `${directory}/root`]);
    assert.ok(Deno.statSync(`${directory}/root`).isDirectory);
  },
  { ignore: !has("umoci") },
);
