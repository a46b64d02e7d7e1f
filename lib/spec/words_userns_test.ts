import assert from "node:assert/strict";
import fc from "fast-check";
import { AUTO_SIZE, parseIdMaps, parseUserNamespace } from "./mod.ts";

Deno.test("--userns is host, auto, or auto with a size", () => {
  assert.equal(parseUserNamespace("host"), "host");
  assert.deepEqual(parseUserNamespace("auto"), { size: AUTO_SIZE });
  assert.deepEqual(parseUserNamespace("auto:size=1"), { size: 1 });
  assert.deepEqual(parseUserNamespace("auto:size=4294967294"), { size: 4294967294 });
  const others = ["", "keep-id", "nomap", "private", "auto:", "auto:size=", "auto:size=x", "Auto"];
  for (const word of [...others, "auto:size=-1", "auto:size=1,uidmapping=0:1:1", "container:x"]) {
    assert.throws(
      () => parseUserNamespace(word),
      { message: /^--userns ".*" is not host, auto or auto:size=N/ },
    );
  }
  for (const word of ["auto:size=0", "auto:size=4294967295"]) {
    assert.throws(() => parseUserNamespace(word), /has no size from 1 to 4294967294/);
  }
});

Deno.test("maps are read as they are written, and one kind alone is both", () => {
  const range = fc.record({
    containerID: fc.nat(2 ** 31),
    hostID: fc.nat(2 ** 31),
    size: fc.integer({ min: 1, max: 2 ** 31 - 2 }),
  }, { noNullPrototype: true });
  fc.assert(fc.property(fc.array(range), fc.array(range), (uids, gids) => {
    const words = (maps: typeof uids) =>
      maps.map(({ containerID, hostID, size }) => `${containerID}:${hostID}:${size}`);
    const read = parseIdMaps(words(uids), words(gids));
    if (uids.length === 0 && gids.length === 0) return assert.equal(read, undefined);
    assert.deepEqual(read, {
      uids: uids.length === 0 ? gids : uids,
      gids: gids.length === 0 ? uids : gids,
    });
  }));
  assert.deepEqual(parseIdMaps(["0:5"], [])?.uids, [{ containerID: 0, hostID: 5, size: 1 }]);
});

Deno.test("what is no map is refused with the option that said it", () => {
  for (const word of ["", "0", "0:", "0:1:", "0:1:2:3", "a:1:1", "-1:1:1", "0:@1:1", "+u0:1:1"]) {
    assert.throws(() => parseIdMaps([word], []), /^CrateError: --uidmap ".*" is not CONTAINER:/);
    assert.throws(() => parseIdMaps([], [word]), /^CrateError: --gidmap ".*" is not CONTAINER:/);
  }
  assert.throws(() => parseIdMaps(["0:1:0"], []), /has a size of 0/);
  for (const word of ["4294967295:0:1", "0:4294967295:1", "2:0:4294967294", "0:1:4294967295"]) {
    assert.throws(() => parseIdMaps([word], []), /goes over 4294967294/);
  }
});
