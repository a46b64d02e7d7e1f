import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import { Attributes, listAttributes, Writer } from "./attributes.ts";
import { refusedOnly } from "./testing.ts";

const type = fc.integer({ min: 1, max: 0x3fff });

/** A tree of attributes: values, and lists of more. */
type Tree = readonly [type: number, value: Uint8Array | readonly Tree[]];
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.tuple(
    type,
    fc.oneof(
      { maxDepth: 5 },
      fc.uint8Array({ maxLength: 300 }),
      fc.array(tie("tree"), { maxLength: 4 }),
    ),
  ),
}));

function write(w: Writer, trees: readonly Tree[]): Writer {
  for (const [type, value] of trees) {
    if (value instanceof Uint8Array) w.bytes(type, value);
    else w.nested(type, () => write(w, value));
  }
  return w;
}

/** What is written, read by the types of what was meant. */
function read(bytes: Uint8Array<ArrayBuffer>, like: readonly Tree[]): Tree[] {
  const found = listAttributes(bytes);
  assert.equal(found.length, like.length);
  return found.map(({ type, value }, index) => {
    const meant = like[index]![1];
    return [type, meant instanceof Uint8Array ? new Uint8Array(value) : read(value, meant)];
  });
}

const plain = (trees: readonly Tree[]): Tree[] =>
  trees.map(([type, value]) => [
    type,
    value instanceof Uint8Array ? new Uint8Array(value) : plain(value),
  ]);

Deno.test("attributes come back as they were written, however deep and long", () => {
  fc.assert(fc.property(fc.array(tree, { maxLength: 20 }), (trees) => {
    const bytes = write(new Writer(), trees).finish();
    assert.equal(bytes.length % 4, 0);
    assert.deepEqual(read(bytes, trees), plain(trees));
  }));
});

Deno.test("numbers of every size and order come back, wherever the buffer grows", () => {
  fc.assert(fc.property(fc.nat(600), fc.maxSafeNat(), (filling, number) => {
    const n = number >>> 0;
    const bytes = new Writer().bytes(1, new Uint8Array(filling))
      .u8(2, n & 0xff).u16(3, n & 0xffff).u16be(4, n & 0xffff).u32(5, n).u32be(6, n)
      .u64be(7, number).text(8, `text ${n}`).flag(9).finish();
    const all = new Attributes(bytes);
    assert.deepEqual(
      [2, 3, 4, 5, 6, 7, 8, 9].map((type) =>
        [
          () => all.u8(type),
          () => all.u16(type),
          () => all.u16be(type),
          () => all.u32(type),
          () => all.u32be(type),
          () => all.u64be(type),
          () => all.text(type),
          () => all.has(type),
        ][type - 2]!()
      ),
      [n & 0xff, n & 0xffff, n & 0xffff, n, n, BigInt(number), `text ${n}`, true],
    );
    assert.equal(all.i32(5), n | 0);
  }));
});

Deno.test("what is not there is undefined, and a value of another size is refused", () => {
  const all = new Attributes(new Writer().u16(1, 7).finish());
  assert.equal(all.u32(2), undefined);
  assert.equal(all.text(2), undefined);
  assert.equal(all.nested(2), undefined);
  assert.deepEqual(all.list(2), []);
  assert.throws(() => all.u32(1), /attribute 1 of 2 bytes, where 4 are expected/);
});

Deno.test("an attribute of more than 65,535 bytes is refused, alone or as a list", () => {
  const refused = (body: () => void) =>
    assert.throws(body, (error) => error instanceof CrateError && error.code === "INVALID");
  new Writer().bytes(1, new Uint8Array(65_531));
  refused(() => new Writer().bytes(1, new Uint8Array(65_532)));
  refused(() => new Writer().nested(1, (w) => w.bytes(2, new Uint8Array(65_528))));
  refused(() => new Writer().text(1, "a\0b"));
});

Deno.test("a length that reaches out of the bytes, or into the header, is refused", () => {
  assert.throws(() => listAttributes(new Uint8Array([9, 0, 1, 0, 1, 2, 3, 4])), /of 9 bytes/);
  assert.throws(() => listAttributes(new Uint8Array([3, 0, 1, 0])), /of 3 bytes/);
  assert.throws(() => listAttributes(new Uint8Array([0, 0, 1, 0])), /of 0 bytes/);
  assert.deepEqual(listAttributes(new Uint8Array([4, 0, 1])), []);
  // The last one need not be filled up.
  assert.equal(listAttributes(new Uint8Array([5, 0, 1, 0, 7]))[0]?.value[0], 7);
});

Deno.test("any bytes are read, or refused in a sentence", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (random) => {
    const bytes = new Uint8Array(random);
    refusedOnly(() => {
      for (const { value } of listAttributes(bytes)) {
        assert.ok(value.byteOffset + value.length <= bytes.length);
        new Attributes(value);
      }
    });
  }));
});

Deno.test("a long list is read in a time that grows with its length alone", () => {
  const w = new Writer();
  for (let i = 0; i < 200_000; i++) w.flag(1);
  const started = performance.now();
  assert.equal(listAttributes(w.finish()).length, 200_000);
  assert.ok(performance.now() - started < 2000);
});
