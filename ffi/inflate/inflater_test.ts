import assert from "node:assert/strict";
import { constants, createDeflateRaw, deflateRawSync, gzipSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { generate } from "../../scripts/assemble.ts";
import { has, run } from "../_tools.ts";
import { canInflate, InflateError, Inflater } from "./inflater.ts";

const HERE = new URL("./", import.meta.url).pathname;
/** Elsewhere it is not used. */
const ignore = !canInflate();

interface Way {
  /** Bytes of memory for output, and of input that is given at once. */
  readonly memory?: number;
  readonly piece?: number;
}

/** All that comes of a deflated stream, and how many of its bytes were read. */
async function inflate(
  bytes: Uint8Array<ArrayBuffer>,
  { memory = 1 << 18, piece = 1 << 16 }: Way = {},
): Promise<{ whole: Uint8Array; rest: number }> {
  const inflater = new Inflater(1 << 16);
  inflater.useMemory(memory);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0;;) {
    const stop = await inflater.run();
    parts.push(inflater.take().slice());
    if (stop === "member") {
      return {
        whole: await new Blob(parts).bytes(),
        rest: inflater.pending.length + bytes.length - at,
      };
    }
    if (stop === "output") inflater.useMemory(memory);
    else if (at === bytes.length) inflater.end();
    else at += inflater.give(bytes.subarray(at, at + piece));
  }
}

/** What is easy, hard, regular or repeated, near and far. */
function samples(size: number): Uint8Array<ArrayBuffer>[] {
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor(seed / 2147483648 * below);
  };
  const make = (byte: (at: number, made: Uint8Array) => number) => {
    const made = new Uint8Array(size);
    for (let at = 0; at < size; at++) made[at] = byte(at, made);
    return made;
  };
  return [
    make(() => random(256)),
    make(() => 65 + random(4)),
    make((at) => at >> 7),
    make(() => 120),
    make((at, made) => at > 100 && random(10) > 0 ? made[at - 1 - random(at)]! : random(256)),
    make((at, made) => at > 32768 ? made[at - 32768]! : random(256)),
    ...[2, 3, 5, 7, 8, 11, 15, 16, 17].map((period) => make((at) => at % period)),
  ];
}

Deno.test("the machine code is what its source assembles to", {
  ignore: !has("as") || !has("aarch64-linux-gnu-as"),
}, async () => {
  const file = `${HERE}bytes.ts`;
  assert.equal(await Deno.readTextFile(file), (await generate()).get(file));
});

Deno.test("what zlib deflates comes out as it was, in whatever pieces", { ignore }, async () => {
  const strategies = [
    constants.Z_DEFAULT_STRATEGY,
    constants.Z_FILTERED,
    constants.Z_HUFFMAN_ONLY,
    constants.Z_RLE,
    constants.Z_FIXED,
  ];
  for (const size of [0, 1, 300, 5000, 70_000, 300_000]) {
    for (const [i, sample] of samples(size).entries()) {
      for (const level of [0, 1, 6, 9]) {
        for (const strategy of level === 6 ? strategies : strategies.slice(0, 1)) {
          const deflated = new Uint8Array(deflateRawSync(sample, { level, strategy }));
          const which = `sample ${i} of ${size} bytes, level ${level}, strategy ${strategy}`;
          for (const way of [{}, { memory: 1000, piece: 1500 }]) {
            const { whole, rest } = await inflate(deflated, way);
            assert.equal(Buffer.compare(whole, sample), 0, which);
            assert.equal(rest, 0, which);
          }
        }
      }
    }
  }
});

/** A stream of many blocks, with codes and without: what is written is flushed again and again. */
async function flushed(sample: Uint8Array, step: number, flush: number) {
  const stream = createDeflateRaw();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  stream.on("data", (part) => parts.push(part));
  for (let at = 0; at < sample.length; at += step) {
    stream.write(sample.subarray(at, at + step));
    await new Promise<void>((resolve) => stream.flush(flush, resolve));
  }
  stream.end();
  await new Promise((resolve) => stream.on("end", resolve));
  return await new Blob(parts).bytes();
}

Deno.test(
  "blocks of all kinds may end wherever the input that is there does",
  { ignore },
  async () => {
    const { Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_PARTIAL_FLUSH, Z_BLOCK } = constants;
    const [noise, letters] = samples(40_000);
    // What cannot be compressed is stored.
    const sample = letters!.map((byte, at) => (at >> 11) % 2 === 0 ? byte : noise![at]!);
    for (const flush of [Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_PARTIAL_FLUSH, Z_BLOCK]) {
      for (const step of [37, 500, 4096]) {
        const deflated = await flushed(sample, step, flush);
        for (const piece of [7, 64, 1000]) {
          const { whole, rest } = await inflate(deflated, { piece });
          const which = `flush ${flush} after ${step}, in pieces of ${piece}`;
          assert.equal(Buffer.compare(whole, sample), 0, which);
          assert.equal(rest, 0, which);
        }
      }
    }
  },
);

Deno.test("what is changed or cut off is what zlib makes of it", { ignore }, async () => {
  const text = new TextEncoder().encode("It was the best of times, it was the worst of times. ");
  const originals = [1, 6, 9].flatMap((level) =>
    [0, constants.Z_FIXED, constants.Z_HUFFMAN_ONLY].map((strategy) =>
      new Uint8Array(
        deflateRawSync(new Uint8Array(4000).map((_, i) => text[(i * i) % text.length]!), {
          level,
          strategy,
        }),
      )
    )
  );
  const change = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), by: fc.nat(255) });
  const broken = fc.tuple(
    fc.constantFrom(...originals),
    fc.array(change, { maxLength: 3 }),
    fc.constantFrom(0, 0, 0, 1, 2, 40),
    fc.boolean(),
  ).map(([original, changes, less, early]) => {
    const bytes = original.slice(0, original.length - less);
    // What stands at the beginning says how the rest is to be read.
    const most = early ? Math.min(60, bytes.length) : bytes.length;
    for (const { at, by } of changes) bytes[Math.floor(at * (most - 1))]! ^= by;
    return bytes;
  });
  const noise = fc.uint8Array({ maxLength: 300 }).map((bytes) => new Uint8Array(bytes));
  await fc.assert(
    fc.asyncProperty(fc.oneof({ weight: 9, arbitrary: broken }, noise), async (bytes) => {
      const expected = attempt(() => inflateRawSync(bytes));
      const found = await inflate(bytes).catch((error: unknown) => {
        assert(error instanceof InflateError, `${error}`);
      });
      assert.equal(found === undefined, expected === undefined);
      if (expected !== undefined) assert.equal(Buffer.compare(found!.whole, expected), 0);
    }),
    { numRuns: 4000 },
  );
});

function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}

/** Bytes of fields, each of so many bits, its lowest first; of codes the highest. */
function bits(...fields: readonly (readonly [value: number, size: number] | string)[]) {
  const all = fields.flatMap((field) =>
    typeof field === "string"
      ? [...field].map(Number)
      : Array.from({ length: field[1] }, (_, i) => field[0] >> i & 1)
  );
  const bytes = new Uint8Array(Math.ceil(all.length / 8));
  all.forEach((bit, i) => bytes[i >> 3]! |= bit << (i & 7));
  return bytes;
}

/**
 * A block with codes of these lengths, each of which is written as the four bits that it has; what is left of codes for
 * lengths is for 17 and 18, which nobody uses. RFC 1951, 3.2.7
 */
function block(lengths: readonly number[], literals: number, distances: number, codes: string) {
  const order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
  const own = (length: number) => length <= 14 ? 4 : length === 17 || length === 18 ? 5 : 0;
  return bits(
    [1, 1],
    [2, 2],
    [literals - 257, 5],
    [distances - 1, 5],
    [15, 4],
    ...order.map((length) => [own(length), 3] as const),
    ...lengths.map((length) => length.toString(2).padStart(4, "0")),
    codes,
  );
}

/** Lengths of codes: those that are named, in a list of so many. */
function lengths(count: number, named: Readonly<Record<number, number>>): number[] {
  return Array.from({ length: count }, (_, i) => named[i] ?? 0);
}

Deno.test("what deflate does not allow is refused in words", { ignore }, async () => {
  const codes = (literals: Record<number, number>, distances: Record<number, number>) => [
    ...lengths(286, literals),
    ...lengths(30, distances),
  ];
  const dynamic = (
    literals: Record<number, number>,
    distances: Record<number, number>,
    bits = "",
  ) => block(codes(literals, distances), 286, 30, bits);
  const cases: readonly (readonly [RegExp, Uint8Array<ArrayBuffer>])[] = [
    [/^a block of a kind that there is not$/, bits([1, 1], [3, 2])],
    [/^the length of a stored block/, new Uint8Array([1, 5, 0, 0xfb, 0xff, 1, 2, 3, 4, 5])],
    // 287 and more codes for literals, 31 and more for distances.
    [/^lengths of codes/, bits([1, 1], [2, 2], [30, 5], [0, 5], [15, 4], [0, 32])],
    [/^lengths of codes/, bits([1, 1], [2, 2], [0, 5], [30, 5], [15, 4], [0, 32])],
    // No codes for lengths at all; too many of one bit; too few.
    [/^lengths of codes/, bits([1, 1], [2, 2], [0, 5], [0, 5], [15, 4], [0, 57], [0, 32])],
    [/^lengths of codes/, bits([1, 1], [2, 2], [0, 5], [0, 5], [0, 4], [0o1111, 12], [0, 32])],
    [/^lengths of codes/, bits([1, 1], [2, 2], [0, 5], [0, 5], [0, 4], [0o0001, 12], [0, 32])],
    // The last length once more, where there is none; more lengths than there are symbols.
    [/^lengths of codes/, bits([1, 1], [2, 2], [0, 5], [0, 5], [0, 4], [0o1001, 12], "1", [0, 32])],
    [
      /^lengths of codes/,
      bits(
        [1, 1],
        [2, 2],
        [0, 5],
        [0, 5],
        [0, 4],
        [0o1100, 12],
        "1".repeat(99),
      ),
    ],
    // No end; too many; too few; two of one bit less than there are.
    [/^lengths of codes/, dynamic({ 0: 1, 1: 1 }, {})],
    [/^lengths of codes/, dynamic({ 0: 1, 1: 1, 256: 1 }, {})],
    [/^lengths of codes/, dynamic({ 0: 2, 1: 2, 256: 2 }, {})],
    [/^lengths of codes/, dynamic({ 0: 1, 256: 1 }, { 0: 2, 1: 2 })],
    [/^lengths of codes/, dynamic({ 0: 1, 256: 1 }, { 0: 1, 1: 1, 2: 1 })],
    // Codes that nobody has: of one distance that has one bit, of none, of one literal.
    [
      /^a code that stands for nothing$/,
      dynamic({ 256: 2, 0: 2, 257: 1 }, { 0: 1 }, "10" + "0" + "1" + "0".repeat(30)),
    ],
    [
      /^a code that stands for nothing$/,
      dynamic({ 256: 2, 0: 2, 257: 1 }, {}, "10" + "0" + "0".repeat(30)),
    ],
    [/^a code that stands for nothing$/, dynamic({ 256: 1 }, {}, "1" + "0".repeat(30))],
    // 286 and 30 of the codes that everybody knows.
    [/^a code that stands for nothing$/, bits([1, 1], [1, 2], "11000110", [0, 32])],
    [
      /^a code that stands for nothing$/,
      bits([1, 1], [1, 2], "00110000", "0000001", "11110", [0, 32]),
    ],
    [
      /^a distance to before the beginning$/,
      bits([1, 1], [1, 2], "00110000", "0000001", "00001", [0, 32]),
    ],
    [/^it ends too early$/, new Uint8Array(0)],
    [/^it ends too early$/, new Uint8Array([1, 5, 0, 0xfa, 0xff, 1, 2, 3])],
    [/^it ends too early$/, bits([1, 1], [1, 2], "00110000")],
  ];
  for (const [words, bytes] of cases) {
    assert.equal(attempt(() => inflateRawSync(bytes)), undefined, `zlib on ${bytes.toHex()}`);
    await assert.rejects(inflate(bytes), (error: unknown) => {
      assert(error instanceof InflateError, `${error}`);
      assert.match(error.message, words, bytes.toHex());
      return true;
    });
  }
});

Deno.test("codes as few and as long as they may be are read", { ignore }, async () => {
  // One for the end alone; one distance; lengths up to 14 bits, which a second table has.
  const all: Record<number, number> = { 256: 14, 257: 14 };
  for (let i = 1; i < 14; i++) all[i] = i;
  const cases = [
    [block([...lengths(257, { 256: 1 }), 0], 257, 1, "0"), ""],
    [
      block([...lengths(258, { 65: 2, 256: 2, 257: 1 }), 1], 258, 1, "10" + "0" + "0" + "11"),
      "AAAA",
    ],
    [
      block([...lengths(258, all), 0], 258, 1, "0" + "1".repeat(12) + "0" + "1".repeat(13) + "0"),
      "\x01\x0d",
    ],
  ] as const;
  for (const [bytes, text] of cases) {
    assert.equal(inflateRawSync(bytes).toString(), text);
    assert.equal(new TextDecoder().decode((await inflate(bytes)).whole), text);
  }
});

Deno.test("whatever it is given, it touches no other memory", {
  ignore: ignore || !has("gcc"),
}, async () => {
  const directory = await Deno.makeTempDir();
  try {
    const files: string[] = [];
    const [noise, letters] = samples(15_000);
    const mixed = letters!.map((byte, at) => (at >> 9) % 2 === 0 ? byte : noise![at]!);
    for (const step of [50, 700]) {
      files.push(`${directory}/${files.length}`);
      await Deno.writeFile(files.at(-1)!, await flushed(mixed, step, constants.Z_SYNC_FLUSH));
    }
    // Members behind each other: of what stands between them, it knows the usual.
    const between = gzipSync("").subarray(-8);
    const member = [deflateRawSync(letters!), between, gzipSync("").subarray(0, 10)];
    files.push(`${directory}/${files.length}`);
    await Deno.writeFile(
      files.at(-1)!,
      Buffer.concat([...member, ...member, deflateRawSync(noise!)]),
    );
    for (const sample of [...samples(3000), ...samples(20_000)]) {
      for (const [level, strategy] of [[0, 0], [1, 0], [6, 0], [9, constants.Z_FIXED]] as const) {
        files.push(`${directory}/${files.length}`);
        await Deno.writeFile(files.at(-1)!, deflateRawSync(sample, { level, strategy }));
      }
    }
    const program = `${directory}/guarded`;
    const source = [`${HERE}guarded.c`, `${HERE}${Deno.build.arch}.s`];
    await run("gcc", ["-O1", `-Wa,-I,${HERE}`, "-Wl,-z,noexecstack", "-o", program, ...source]);
    const counts = (await run(program, ["100000", ...files])).trim().split(" ").map(Number);
    // It has stopped for each of its reasons; for want of room it hardly ever ends.
    for (const [i, count] of counts.entries()) assert.ok(i === 1 || count > 0, counts.join(" "));
    assert.equal(counts.length, 8);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
