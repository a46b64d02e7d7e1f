import assert from "node:assert/strict";
import { everywhere, inside } from "./ids.ts";

Deno.test("a file's owner is the container's, and one that is in no map stays", () => {
  const uids = [{ containerID: 0, hostID: 100000, size: 10 }, {
    containerID: 50,
    hostID: 7,
    size: 1,
  }];
  const gids = [{ containerID: 5, hostID: 200000, size: 1 }];
  const owner = (uid: number, gid: number) => {
    const attributes = {
      ...{ mode: 0o644, mtime: { seconds: 1, nanoseconds: 0 } },
      ...{ major: 0, minor: 0, uid, gid },
    };
    const found = inside({ attributes }, { uids, gids });
    assert.equal(found.mode, 0o644);
    return [found.uid, found.gid];
  };
  assert.deepEqual(owner(100009, 200000), [9, 5]);
  assert.deepEqual(owner(7, 65534), [50, 65534]);
  assert.deepEqual(owner(100010, 200001), [100010, 200001]);
});

Deno.test("a file's capabilities lose the namespace that they were for", () => {
  const rights = new Uint8Array(24).fill(9);
  rights.set([1, 0, 0, 3]);
  const plain = everywhere(rights);
  assert.deepEqual([...plain], [1, 0, 0, 2, ...new Uint8Array(16).fill(9)]);
  assert.equal(everywhere(plain), plain);
});
