import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { blobOf, bytesOf, names, test } from "./_images.ts";

test("a blob that came in part goes on where it was", async (store) => {
  const { descriptor, bytes } = blobOf("0123456789".repeat(300_000));
  {
    using lease = await store.lease();
    using partial = await store.partial(lease, descriptor);
    partial!.append(bytes.subarray(0, 1_500_000));
    assert.equal(partial!.have, 1_500_000);
  }
  using lease = await store.lease();
  using partial = await store.partial(lease, descriptor);
  assert.equal(partial!.have, 1_500_000);
  const hash = createHash("sha256");
  let count = 0;
  for (const piece of partial!.read()) {
    hash.update(piece);
    count += piece.length;
  }
  assert.equal(count, 1_500_000);
  partial!.append(bytes.subarray(1_500_000));
  hash.update(bytes.subarray(1_500_000));
  await partial!.commit(`sha256:${hash.digest("hex")}`);
  assert.equal(await store.partial(lease, descriptor), undefined);
  assert.deepEqual(names(`${store.root}/crate/partial`), []);
});

test("a partial blob that is too long, or turns out wrong, is forgotten", async (store) => {
  const { descriptor } = blobOf("right");
  using lease = await store.lease();
  const path = `${store.root}/crate/partial/${descriptor.digest.replace(":", "-")}`;
  Deno.writeTextFileSync(path, "too long");
  using partial = await store.partial(lease, descriptor);
  assert.equal(partial!.have, 0);
  partial!.append(bytesOf("wrong"));
  await assert.rejects(partial!.commit(blobOf("wrong").descriptor.digest), { code: "INVALID" });
  assert.equal(partial!.have, 0);
  partial!.append(bytesOf("right"));
  await partial!.commit(descriptor.digest);
});

test("who wants a blob that another is fetching waits, and finds it there", async (store) => {
  const { descriptor, bytes } = blobOf("content");
  using lease = await store.lease();
  const first = await store.partial(lease, descriptor);
  let came = false;
  const second = store.partial(lease, descriptor).finally(() => came = true);
  first!.append(bytes);
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(came, false);
  await first!.commit(descriptor.digest);
  assert.equal(await second, undefined);
});

test("who waits goes on with the bytes of one that gave up", async (store) => {
  const { descriptor } = blobOf("content");
  using lease = await store.lease();
  const first = await store.partial(lease, descriptor);
  first!.append(bytesOf("cont"));
  const second = store.partial(lease, descriptor);
  first!.release();
  using partial = await second;
  assert.equal(partial!.have, 4);
});

test("waiting ends when the signal says so, and leaves nothing locked", async (store) => {
  const { descriptor } = blobOf("content");
  using lease = await store.lease();
  const first = await store.partial(lease, descriptor);
  await assert.rejects(store.partial(lease, descriptor, AbortSignal.timeout(30)), {
    name: "TimeoutError",
  });
  first!.release();
  (await store.partial(lease, descriptor, AbortSignal.timeout(2000)))!.release();
});

test("a layer is unpacked by one at a time, and is there for the next", async (store) => {
  using lease = await store.lease();
  const { digest } = blobOf("layer").descriptor;
  const first = await store.newLayer(lease, digest);
  assert.equal(Deno.statSync(first!.path).mode! & 0o777, 0o755);
  Deno.mkdirSync(`${first!.path}/a/b`, { recursive: true });
  const second = store.newLayer(lease, digest);
  const third = store.newLayer(lease, digest);
  await first!.abandon();
  assert.equal(store.layer(digest), undefined);
  const next = await Promise.race([second, third]);
  const { path } = await next!.commit({ size: 5, entries: 2 });
  assert.deepEqual(await Promise.all([second, third]).then((all) => all.filter(Boolean)), [next]);
  assert.deepEqual(store.layer(digest), { chainId: digest, path, size: 5, entries: 2 });
  assert.ok(path.length - store.root.length <= "/crate/l/0123456789".length);
  assert.deepEqual(names(`${store.root}/crate/locks`), []);
  assert.deepEqual(names(`${store.root}/crate/tmp`), []);
});
