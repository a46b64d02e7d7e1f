import assert from "node:assert/strict";
import fc from "fast-check";
import { isIdmapWithMaps, parseIdmapOption } from "./words_idmap.ts";

Deno.test("maps in a mount option are read as they are written", () => {
  const id = fc.integer({ min: 0, max: 2 ** 31 - 1 });
  const size = fc.integer({ min: 1, max: 2 ** 31 });
  const map = fc.tuple(id, id, size).map(([containerID, hostID, size]) => ({
    containerID,
    hostID,
    size,
  }));
  const words = fc.tuple(fc.boolean(), fc.array(map, { minLength: 1 })).map(
    ([relative, mappings]) => ({ relative, mappings }),
  );
  type Words = {
    relative: boolean;
    mappings: { containerID: number; hostID: number; size: number }[];
  };
  const write = ({ relative, mappings }: Words) =>
    (relative ? "@" : "") +
    mappings.map((m) => `${m.containerID}-${m.hostID}-${m.size}`).join("#");
  fc.assert(fc.property(words, words, fc.boolean(), fc.boolean(), (uids, gids, order, r) => {
    const parts = [`uids=${write(uids)}`, `gids=${write(gids)}`];
    const option = `${r ? "r" : ""}idmap=${(order ? parts : parts.reverse()).join(";")}`;
    assert(isIdmapWithMaps(option));
    assert.deepEqual(parseIdmapOption(option, "f"), { uids, gids });
  }));
});

Deno.test("a map that is none is refused by its field", () => {
  for (
    const bad of [
      "idmap=",
      "idmap=uids=0-1-2",
      "idmap=uids=0-1-2;uids=0-1-2",
      "idmap=uids=0-1-0;gids=0-1-2",
      "idmap=uids=0-1-4294967296;gids=0-1-2",
      "idmap=uids=0-1;gids=0-1-2",
      "idmap=uids=0-1-2#;gids=0-1-2",
      "ridmap=uids=-1-1-2;gids=0-1-2",
    ]
  ) {
    assert.throws(() => parseIdmapOption(bad, "mounts[3].options"), {
      code: "INVALID",
      message: `mounts[3].options "${bad}" must be like "idmap=uids=0-1000-10;gids=0-1000-10"`,
    });
  }
});
