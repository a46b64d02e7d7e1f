import assert from "node:assert/strict";
import { digestHex } from "../names/mod.ts";
import { imageOf, put, test } from "./_images.ts";

test("a word means what docker takes it for: a name, a digest, an ID, the beginning of one", async (store) => {
  const image = imageOf(["one"]);
  await put(store, "quay.io/a/b:1", image);
  const id = image.config.descriptor.digest;
  const { digest } = image.root.descriptor;
  const words = [
    "quay.io/a/b:1",
    `quay.io/a/b@${digest}`,
    `quay.io/a/b:1@${digest}`,
    id,
    digestHex(id),
    digestHex(id).slice(0, 1),
    `sha256:${digestHex(id).slice(0, 12)}`,
    digest,
  ];
  for (const word of words) assert.equal(store.find(word).image.id, id, word);
  assert.equal(store.find("quay.io/a/b:1").name, "quay.io/a/b:1");
  assert.equal(store.find(id).name, undefined);
  for (const word of ["quay.io/a/b", "b:1", `quay.io/a/b@sha256:${"0".repeat(64)}`, "xyz"]) {
    assert.equal(store.tryFind(word), undefined, word);
  }
});

test("a name goes before an ID that begins so", async (store) => {
  const images = Array.from({ length: 17 }, (_, i) => imageOf([`${i}`]));
  for (const [i, image] of images.entries()) {
    await put(store, `image:${i}`, image, { unpack: false });
  }
  const first = images[0]!.config.descriptor.digest;
  const word = digestHex(first).slice(0, 12);
  await put(store, word, images[1]!, { unpack: false });
  assert.equal(store.find(word).image.id, images[1]!.config.descriptor.digest);
});

test("what begins several IDs is refused with those it may be", async (store) => {
  // Of seventeen IDs two begin with the same digit.
  const images = Array.from({ length: 17 }, (_, i) => imageOf([`${i}`]));
  for (const [i, image] of images.entries()) {
    await put(store, `image:${i}`, image, { unpack: false });
  }
  const digits = images.map(({ config }) => digestHex(config.descriptor.digest));
  const digit = [..."0123456789abcdef"].find((one) =>
    digits.filter((digit) => digit.startsWith(one)).length > 1
  )!;
  const begins = digits.filter((id) => id.startsWith(digit));
  assert.throws(() => store.find(digit), (error: Error & { code: string }) => {
    assert.equal(error.code, "INVALID");
    assert.match(error.message, new RegExp(`^"${digit}" begins the IDs of \\d+ images: `));
    for (const id of begins) assert.ok(error.message.includes(id.slice(0, 12)), error.message);
    return true;
  });
});

test("what is not there is a sentence with the remedy, and what is no name says so", (store) => {
  assert.throws(() => store.find("alpine"), {
    code: "NOT_FOUND",
    message: 'image "alpine" is not in the store: crate pull alpine',
  });
  assert.throws(() => store.find("Alpine"), { code: "INVALID", message: /upper-case/ });
  assert.throws(() => store.find("0".repeat(64)), {
    code: "NOT_FOUND",
    message: /crate images shows all$/,
  });
  return Promise.resolve();
});
