import assert from "node:assert/strict";
import { containerIds } from "./container_ids.ts";

const uidMappings = [
  { containerID: 0, hostID: 1000, size: 1 },
  { containerID: 1, hostID: 100_000, size: 65_536 },
];

Deno.test("without a user namespace an id is the same inside and outside", () => {
  const ids = containerIds({});
  assert.deepEqual(ids.inside({ uid: 7, gid: 8 }), { uid: 7, gid: 8 });
  assert.deepEqual(ids.outside({ uid: 7, gid: 8 }), { uid: 7, gid: 8 });
});

Deno.test("ids go through a user namespace's maps, both ways", () => {
  const ids = containerIds({ linux: { uidMappings, gidMappings: uidMappings } });
  assert.deepEqual(ids.outside({ uid: 0, gid: 34 }), { uid: 1000, gid: 100_033 });
  assert.deepEqual(ids.inside({ uid: 1000, gid: 100_033 }), { uid: 0, gid: 34 });
  assert.deepEqual(ids.inside({ uid: 0, gid: 999 }), { uid: 65_534, gid: 65_534 });
});

Deno.test("an id that the namespace does not have is refused", () => {
  const ids = containerIds({ linux: { uidMappings, gidMappings: uidMappings } });
  assert.throws(() => ids.outside({ uid: 70_000, gid: 0 }), /has no user 70000$/);
  assert.throws(() => ids.outside({ uid: 0, gid: 70_000 }), /has no group 70000$/);
});
