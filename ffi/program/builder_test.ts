import assert from "node:assert/strict";
import fc from "fast-check";
import { Machine } from "../testing.ts";
import { iovec, open_how } from "../structs.ts";
import { addressOf, type Cell, HEADER_SIZE, placeIn, ProgramBuilder, valueOf } from "./builder.ts";

/** The arguments that a program's only call gets, and its memory. */
function walk(p: ProgramBuilder): { args: readonly number[]; machine: Machine } {
  const machine = new Machine(p.build());
  const [visit] = machine.run(() => "end");
  return { args: visit!.args, machine };
}

Deno.test("a label that stands in two places is refused by name", () => {
  const p = new ProgramBuilder();
  const label = p.label("retry");
  p.place(label);
  assert.throws(() => p.place(label), /the label retry stands in two places/);
});

Deno.test("a label without a place is refused by name, whether it is used or not", () => {
  for (const used of [true, false]) {
    const p = new ProgramBuilder();
    const label = p.label("the end");
    p.call("getpid", [], used ? { negative: label } : {});
    assert.throws(() => p.build(), /the label the end has no place/);
  }
});

Deno.test("a string with a NUL is refused: the kernel would read the first half", () => {
  const p = new ProgramBuilder();
  assert.throws(() => p.string("/etc\0/passwd"), RangeError);
  assert.throws(() => p.string("ü\0"), RangeError);
});

/** Any character but NUL: controls, halves of pairs, those outside of the basic plane. */
const character = fc.oneof(fc.integer({ min: 1, max: 0xff }), fc.integer({ min: 1, max: 0x10ffff }))
  .map((code) => String.fromCodePoint(code));

Deno.test("any string arrives as UTF-8 with its NUL, and equal ones are one", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: character }), { minLength: 1, maxLength: 6 }),
      (texts) => {
        const words = texts;
        const p = new ProgramBuilder();
        const cells = words.map((word) => p.string(word));
        p.call("execve", [...cells].slice(0, 6));
        const { args, machine } = walk(p);
        words.forEach((word, i) => {
          assert.equal(machine.string(args[i]!), word.toWellFormed());
          words.forEach((other, j) => assert(word !== other || args[i] === args[j]));
        });
      },
    ),
  );
});

Deno.test("a string is a string, whatever else of the program reads alike", () => {
  const p = new ProgramBuilder();
  const how = p.struct(open_how, { flags: 0x290000, resolve: 0x12 });
  const alike = ["open_how{flags: 0x290000, resolve: 0x12}", "{flags: 0x290000, resolve: 0x12}"];
  p.call("execve", [how, ...alike.map((text) => p.string(text))]);
  const { args, machine } = walk(p);
  assert.deepEqual(args.slice(1).map((at) => machine.string(at)), alike);
  assert.equal(machine.u64(args[0]!), 0x290000n);
});

type Wanted = readonly [kind: "bytes" | "empty" | "filled", size: number];

Deno.test("cells are aligned, never overlap, and begin with what they were given", () => {
  const wanted: fc.Arbitrary<Wanted> = fc.tuple(
    fc.constantFrom("bytes", "empty", "filled"),
    fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9000 })),
  );
  fc.assert(fc.property(fc.array(wanted, { maxLength: 20 }), (list) => {
    const p = new ProgramBuilder();
    const cells = list.map(([kind, size], i): [Cell, Uint8Array] => {
      const bytes = new Uint8Array(size).fill(kind === "empty" ? 0 : i + 1);
      if (kind === "bytes") return [p.bytes(bytes), bytes];
      return [p.variable(`v${i}`, size, kind === "empty" ? undefined : bytes), bytes];
    });
    p.call("exit_group", [0]);
    const { machine } = walk(p);
    const header = machine.addressOf(p.header);
    const ranges = cells.map(([cell]) => [machine.addressOf(cell), cell.size] as const);
    for (const [i, [at, size]] of ranges.entries()) {
      assert.equal(at % 8, 0);
      assert.deepEqual(machine.bytes(at, size), cells[i]![1]);
      assert(at >= header + HEADER_SIZE || at + size <= header, "the header is its own");
      for (const [other] of ranges.slice(i + 1)) assert(other >= at + size || other < at);
    }
  }));
});

Deno.test("a large variable without a value is only made room for", () => {
  const p = new ProgramBuilder();
  assert.equal(p.variable("small", 127).kind, "variable");
  assert.equal(p.variable("large", 128).kind, "buffer");
  assert.equal(p.variable("filled", 128, new Uint8Array(128)).kind, "variable");
});

Deno.test("pointers lead to constants, variables, buffers, and into them", () => {
  const p = new ProgramBuilder();
  const word = p.string("word");
  const small = p.variable("small", 16);
  const large = p.variable("large", 4096);
  const vector = p.variableStruct("vector", iovec, { iov_len: 7 });
  p.pointer(placeIn(vector, 0), placeIn(large, 100));
  const list = p.pointers([word, small, large], "list");
  p.call("writev", [addressOf(vector, 8), list, addressOf(small, 3), valueOf(vector, 8)]);
  const { args, machine } = walk(p);
  const at = (cell: Cell) => machine.addressOf(cell);
  assert.deepEqual(args, [at(vector) + 8, at(list), at(small) + 3, 7]);
  assert.equal(Number(machine.u64(at(vector))), at(large) + 100);
  const listed = [0, 8, 16, 24].map((offset) => Number(machine.u64(at(list) + offset)));
  assert.deepEqual(listed, [at(word), at(small), at(large), 0]);
  assert.deepEqual(machine.bytes(at(word), 5), new TextEncoder().encode("word\0"));
});

Deno.test("set, jump and jumpIfEqual do what they say for every 32-bit value", () => {
  fc.assert(fc.property(fc.integer(), fc.integer(), fc.boolean(), (a, b, alike) => {
    const p = new ProgramBuilder();
    const left = p.variable("left", 4);
    const right = p.variable("right", 4);
    const end = p.label("end");
    const equal = p.label("equal");
    p.set(left, a);
    p.set(right, alike ? valueOf(left) : b);
    p.jumpIfEqual(valueOf(left), valueOf(right), equal);
    p.jump(end);
    p.place(equal);
    p.call("exit_group", [1]);
    p.place(end);
    p.call("exit_group", [0]);
    const { visits } = { visits: new Machine(p.build()).run(() => "end") };
    assert.equal(visits.at(-1)!.args[0], alike || a === b ? 1 : 0);
  }));
});

Deno.test("a step's label is what it was given, or its call", () => {
  const p = new ProgramBuilder();
  p.call("getpid", []);
  p.call("getpid", [], { label: "who am I" });
  p.return();
  assert.deepEqual(p.build().steps.map(({ label }) => label), ["getpid", "who am I", "return"]);
});
