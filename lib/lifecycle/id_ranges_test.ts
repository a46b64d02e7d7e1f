import assert from "node:assert/strict";
import fc from "fast-check";
import { claimIds, firstFree, type IdRange, rangesOf } from "./id_ranges.ts";

Deno.test("ids are those of containers in the file, or else some that are nobody's", () => {
  const { own, others } = rangesOf("# a comment\n\nme:100000:65536\nx:y\ncontainers:5:0\n");
  assert.deepEqual(own, [{ start: 0x70000000, size: 0x0fff0000 }]);
  assert.deepEqual(others, [{ start: 100000, size: 65536 }]);
  assert.deepEqual(rangesOf("containers:10:20\nme:15:5\n containers:40:1 "), {
    own: [{ start: 10, size: 20 }, { start: 40, size: 1 }],
    others: [],
  });
});

Deno.test("the first free ids are free, in a range, and the first", () => {
  const range = fc.record({ start: fc.nat(60), size: fc.integer({ min: 1, max: 20 }) });
  const isIn = (id: number, ranges: readonly IdRange[]) =>
    ranges.some(({ start, size }) => id >= start && id < start + size);
  const one = fc.array(range, { maxLength: 1 });
  fc.assert(
    fc.property(one, fc.array(range), fc.integer({ min: 1, max: 12 }), (ranges, used, size) => {
      const fits = (start: number) =>
        Array.from({ length: size }, (_, i) => start + i)
          .every((id) => isIn(id, ranges) && !isIn(id, used));
      const expected = Array.from({ length: 90 }, (_, i) => i).find(fits);
      assert.equal(firstFree(ranges, used, size), expected);
    }),
    { numRuns: 500 },
  );
  assert.equal(firstFree([{ start: 0, size: 3 }, { start: 10, size: 5 }], [], 4), 10);
});

Deno.test("what is claimed is nobody else's until it is let go, or in a container's record", () => {
  const root = Deno.makeTempDirSync();
  try {
    const first = (claim: ReturnType<typeof claimIds>) => claim.maps.uids[0]!.hostID;
    using one = claimIds(root, 100);
    {
      using two = claimIds(root, 50);
      assert.ok(Math.abs(first(one) - first(two)) >= 50);
      assert.deepEqual(two.maps.uids, two.maps.gids);
      assert.equal(first(claimIds(root, 50, false)), first(one), "only records are looked at");
    }
    using three = claimIds(root, 10);
    assert.equal(first(three), first(one) + 100);
    const linux = { uidMappings: [{ containerID: 0, hostID: first(one) + 110, size: 90 }] };
    Deno.mkdirSync(`${root}/c`);
    Deno.writeTextFileSync(`${root}/c/container.json`, JSON.stringify({ spec: { linux } }));
    Deno.mkdirSync(`${root}/empty`);
    using four = claimIds(root, 10);
    assert.equal(first(four), first(one) + 200);
    assert.equal(four.maps.gids[0]!.hostID, first(one) + 110);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("when there are no ids left, that is one sentence", () => {
  const root = Deno.makeTempDirSync();
  try {
    assert.throws(
      () => claimIds(root, 2 ** 31),
      /^CrateError: --userns auto: no 2147483648 user ids are left for another container: give /,
    );
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});
