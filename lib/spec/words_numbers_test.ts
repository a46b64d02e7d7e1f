import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import { parseCpus, parseInteger, parseSize, parseSizeOrUnlimited } from "./words_numbers.ts";

const refused = (sentence: string) => (error: unknown) => {
  assert(error instanceof CrateError && error.code === "INVALID", String(error));
  assert.equal(error.message, sentence);
  return true;
};

Deno.test("a size is a number and a unit of 1024s", () => {
  const sizes: [word: string, bytes: number][] = [
    ["0", 0],
    ["4096", 4096],
    ["4096b", 4096],
    ["1k", 1024],
    ["1K", 1024],
    ["1kb", 1024],
    ["1KiB", 1024],
    ["512m", 536870912],
    ["512 MB", 536870912],
    ["1.5g", 1610612736],
    [".5g", 536870912],
    ["1.g", 1073741824],
    ["2TiB", 2199023255552],
    ["1p", 1125899906842624],
    ["0.0001k", 0],
  ];
  for (const [word, bytes] of sizes) assert.equal(parseSize(word, "--memory"), bytes, word);
});

Deno.test("what is no size is refused in a sentence that names the option", () => {
  for (
    const word of ["", "512q", "m", "-1", "1 2", "1ib", "1mbb", "0x10", "1e3", "1  k", "١", "1.2.3"]
  ) {
    assert.throws(
      () => parseSize(word, "--memory"),
      refused(
        `--memory ${
          JSON.stringify(word)
        } is not a size: a number and b, k, m, g, t or p, such as 512m`,
      ),
    );
  }
  assert.throws(
    () => parseSize("8p", "--shm-size"),
    refused('--shm-size "8p" is too large a size'),
  );
});

Deno.test("where no limit is possible, -1 is none", () => {
  assert.equal(parseSizeOrUnlimited("-1", "--memory-swap"), -1);
  assert.equal(parseSizeOrUnlimited("1k", "--memory-swap"), 1024);
  assert.throws(() => parseSizeOrUnlimited("-2", "--memory-swap"), CrateError);
});

Deno.test("processors are counted in parts, from a hundredth up", () => {
  for (const [word, cpus] of [["1.5", 1.5], ["2", 2], [".5", 0.5], ["0.01", 0.01], ["3.", 3]]) {
    assert.equal(parseCpus(word as string), cpus);
  }
  for (const word of ["", "0", "0.001", "-1", "1e3", "a", ".", "1,5", "Infinity"]) {
    assert.throws(
      () => parseCpus(word),
      refused(
        `--cpus ${JSON.stringify(word)} is not a number of processors: 0.01 or more, such as 1.5`,
      ),
    );
  }
});

Deno.test("a whole number stays in its range", () => {
  assert.equal(parseInteger("-1000", "--oom-score-adj", -1000, 1000), -1000);
  assert(Object.is(parseInteger("-0", "--oom-score-adj", -1000, 1000), 0));
  assert.throws(
    () => parseInteger("1001", "--oom-score-adj", -1000, 1000),
    refused('--oom-score-adj "1001" is not a whole number, from -1000 to 1000'),
  );
  assert.throws(
    () => parseInteger("x", "--cpu-shares", 2, Number.MAX_SAFE_INTEGER),
    refused('--cpu-shares "x" is not a whole number, 2 or more'),
  );
});

Deno.test("every whole size is read back, and any other text is a size or refused", () => {
  fc.assert(fc.property(fc.nat(), fc.constantFrom("", "b", "k", "MB", "gib"), (count, unit) => {
    const factor = 1024 ** "bkmg".indexOf(unit === "" ? "b" : unit[0]!.toLowerCase());
    if (!Number.isSafeInteger(count * factor)) return;
    assert.equal(parseSize(`${count}${unit}`, "--memory"), count * factor);
  }));
  const parsers = [
    (word: string) => Number.isSafeInteger(parseSize(word, "--memory")),
    (word: string) => parseCpus(word) >= 0.01,
    (word: string) => Number.isSafeInteger(parseInteger(word, "--n", -5, 2 ** 40)),
  ];
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[-0-9.kKmbBi ]{0,12}$/));
  for (const parse of parsers) {
    fc.assert(
      fc.property(text, (word) => {
        try {
          assert(parse(word), word);
        } catch (error) {
          assert(error instanceof CrateError && error.code === "INVALID", String(error));
          assert(error.message.includes(JSON.stringify(word)), error.message);
        }
      }),
      { numRuns: 1000 },
    );
  }
});
