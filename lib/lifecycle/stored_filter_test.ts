import assert from "node:assert/strict";
import { storedFilter, storeFilter } from "./stored_filter.ts";

Deno.test("a filter is there as it was put, or not at all", () => {
  const directory = Deno.makeTempDirSync();
  try {
    assert.equal(storedFilter(directory), undefined);
    const filter = { filter: new Uint8Array(80).map((_, i) => i), flags: 2 ** 31 + 4 };
    storeFilter(directory, filter);
    assert.deepEqual(storedFilter(directory), filter);
    assert.equal(Deno.statSync(`${directory}/filter`).mode! & 0o777, 0o600);
    for (const size of [0, 7, 8, 87]) {
      Deno.truncateSync(`${directory}/filter`, size);
      assert.equal(storedFilter(directory), undefined, `${size} bytes`);
      Deno.removeSync(`${directory}/filter`);
      storeFilter(directory, filter);
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
