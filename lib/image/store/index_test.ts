import assert from "node:assert/strict";
import { imageOf, put, test } from "./_images.ts";
import { openStore } from "./mod.ts";

test("an index.json that is cut or wrong is a sentence with the file and what helps", async (store) => {
  await put(store, "alpine", imageOf(["one"]));
  const path = `${store.root}/index.json`;
  const text = Deno.readTextFileSync(path);
  const digest = `"digest":"sha256:${"0".repeat(64)}"`;
  const cases: [string, RegExp][] = [
    [text.slice(0, -5), /it is no JSON/],
    ["", /it is no JSON/],
    ["null", /schemaVersion is not 2/],
    ['{"schemaVersion":1,"manifests":[]}', /schemaVersion is not 2/],
    ['{"schemaVersion":2,"manifests":{}}', /manifests is no list/],
    ['{"schemaVersion":2,"manifests":[null]}', /manifests\[0\] is no descriptor/],
    [`{"schemaVersion":2,"manifests":[{${digest},"size":-1,"mediaType":"x"}]}`, /manifests\[0\]/],
    [
      '{"schemaVersion":2,"manifests":[{"digest":"../x","size":1,"mediaType":"x"}]}',
      /manifests\[0\]/,
    ],
    [
      `{"schemaVersion":2,"manifests":[{${digest},"size":1,"mediaType":"x","annotations":{"a":1}}]}`,
      /manifests\[0\]/,
    ],
  ];
  for (const [wrong, why] of cases) {
    Deno.writeTextFileSync(path, wrong);
    for (const act of [() => store.list(), () => store.find("alpine")]) {
      assert.throws(act, (error: Error & { code: string }) => {
        assert.equal(error.code, "FAILED");
        assert.match(error.message, why);
        assert.match(error.message, /^\/.*index\.json is not whole .*pull the images again$/);
        return true;
      });
    }
    // Nothing is taken for garbage because the list cannot be read.
    await assert.rejects(store.prune({ all: true }), { code: "FAILED" });
  }
  Deno.removeSync(path);
  assert.throws(() => store.list(), { code: "FAILED", message: /it is gone/ });
  Deno.writeTextFileSync(path, text);
  assert.equal(store.list().length, 1);
});

test("what others have written into index.json stays", async (store) => {
  const image = imageOf(["one"]);
  await put(store, "alpine", image);
  const path = `${store.root}/index.json`;
  const index = JSON.parse(Deno.readTextFileSync(path));
  index.annotations = { "org.example": "1" };
  index.manifests[0].annotations["org.example.entry"] = "2";
  index.manifests.push({
    mediaType: "application/vnd.example",
    digest: `sha256:${"1".repeat(64)}`,
    size: 3,
    annotations: { "org.opencontainers.image.ref.name": "latest" },
    "org.example.field": true,
  });
  Deno.writeTextFileSync(path, JSON.stringify(index));
  await store.tag("alpine", "other");
  const after = JSON.parse(Deno.readTextFileSync(path));
  assert.deepEqual(after.annotations, index.annotations);
  assert.deepEqual(after.manifests.slice(0, 2), index.manifests);
  assert.equal(after.manifests.length, 3);
  // It is found by its own word, and nothing of it is there.
  assert.equal(store.find("latest").image.problem?.code, "NOT_FOUND");
});

test("a name that the image has already is nothing to write", async (store) => {
  const image = imageOf(["one"]);
  await put(store, "alpine", image);
  const before = Deno.statSync(`${store.root}/index.json`);
  await put(store, "alpine", image);
  assert.equal(Deno.statSync(`${store.root}/index.json`).ino, before.ino);
});

test("a store whose index.json was removed begins anew", async (store) => {
  const image = imageOf(["one"]);
  await put(store, "alpine", image);
  Deno.removeSync(`${store.root}/index.json`);
  const again = await openStore(store.root);
  assert.deepEqual(again.list(), []);
  await put(again, "alpine", image);
  assert.equal(again.list().length, 1);
});
