import assert from "node:assert/strict";
import fc from "fast-check";
import { type Fields, Layout } from "./layout.ts";

const types = fc.constantFrom("u8", "u16", "u32", "i32", "u64", "i64");

Deno.test("fields lie in order, aligned to their size, and never overlap", () => {
  fc.assert(fc.property(fc.array(types, { minLength: 1, maxLength: 12 }), (list) => {
    const fields: Fields = Object.fromEntries(list.map((type, i) => [`f${i}`, type]));
    const layout = new Layout("any", fields);
    let end = 0;
    let widest = 1;
    for (const [name, type] of Object.entries(fields)) {
      const size = Number(type.slice(1)) / 8;
      const at = layout.offset(name);
      assert.equal(at % size, 0);
      assert(at >= end && at < end + size, "no more room before it than its alignment takes");
      end = at + size;
      widest = Math.max(widest, size);
    }
    assert.equal(layout.size, Math.ceil(end / widest) * widest);
  }));
});

Deno.test("what is packed is read back, and the rest is zero", () => {
  const layout = new Layout("all", {
    a: "u8",
    b: "u16",
    c: "u32",
    d: "i32",
    e: "u64",
    f: "i64",
  });
  const values = fc.record({
    a: fc.integer({ min: 0, max: 0xff }),
    b: fc.integer({ min: 0, max: 0xffff }),
    c: fc.integer({ min: 0, max: 0xffffffff }),
    d: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    e: fc.maxSafeNat(),
    f: fc.maxSafeInteger(),
  }, { requiredKeys: [] });
  fc.assert(fc.property(values, (values) => {
    const bytes = layout.pack(values);
    assert.equal(bytes.length, 32);
    for (const field of ["a", "b", "c", "d", "e", "f"] as const) {
      assert.equal(layout.get(bytes, field), values[field] ?? 0, field);
    }
  }));
});

Deno.test("a 64-bit field takes -1 and all of 64 bits", () => {
  const layout = new Layout("wide", { limit: "u64" });
  const full = new Uint8Array(8).fill(0xff);
  assert.deepEqual(layout.pack({ limit: -1 }), full);
  assert.deepEqual(layout.pack({ limit: 2n ** 64n - 1n }), full);
});

Deno.test("a field is read from a view into a longer buffer", () => {
  const layout = new Layout("pair", { a: "u32", b: "u32" });
  const bytes = new Uint8Array([9, 9, 9, 1, 0, 0, 0, 2, 0, 0, 0]);
  assert.equal(layout.get(bytes.subarray(3), "b"), 2);
});
