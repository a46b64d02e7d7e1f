import assert from "node:assert/strict";
import fc from "fast-check";
import * as ffi from "../../../ffi/mod.ts";
import { propagationFlag, sortOptions } from "./mount_options.ts";

const NONE = { set: 0, clear: 0 };

/** What mount_setattr(2) makes of a mount's attributes. */
function apply(before: number, { set, clear }: { set: number; clear: number }): number {
  return (before & ~clear) | set;
}

/** Each flag's bit, and the word that takes it away. */
const FLAGS: [on: string, off: string, bit: number][] = [
  ["ro", "rw", ffi.MOUNT_ATTR_RDONLY],
  ["nosuid", "suid", ffi.MOUNT_ATTR_NOSUID],
  ["nodev", "dev", ffi.MOUNT_ATTR_NODEV],
  ["noexec", "exec", ffi.MOUNT_ATTR_NOEXEC],
  ["nodiratime", "diratime", ffi.MOUNT_ATTR_NODIRATIME],
  ["nosymfollow", "symfollow", ffi.MOUNT_ATTR_NOSYMFOLLOW],
];
const TIMES: Record<string, number> = {
  relatime: ffi.MOUNT_ATTR_RELATIME,
  noatime: ffi.MOUNT_ATTR_NOATIME,
  strictatime: ffi.MOUNT_ATTR_STRICTATIME,
  nostrictatime: ffi.MOUNT_ATTR_RELATIME,
  atime: ffi.MOUNT_ATTR_RELATIME,
};
const WORDS = [...FLAGS.flatMap(([on, off]) => [on, off]), ...Object.keys(TIMES)];

/** What a mount's attributes should be after these words, the last of each kind counting. */
function expected(before: number, words: readonly string[]): number {
  let now = before;
  for (const word of words) {
    for (const [on, off, bit] of FLAGS) {
      if (word === on) now |= bit;
      if (word === off) now &= ~bit;
    }
    if (word in TIMES) now = (now & ~ffi.MOUNT_ATTR__ATIME) | TIMES[word]!;
  }
  return now;
}

Deno.test("the last word about each attribute counts, whatever the mount had before", () => {
  const before = fc.tuple(
    fc.subarray(FLAGS.map(([, , bit]) => bit)),
    fc.constantFrom(...Object.values(TIMES)),
  ).map(([bits, time]) => bits.reduce((all, bit) => all | bit, time));
  fc.assert(fc.property(before, fc.array(fc.constantFrom(...WORDS)), (before, words) => {
    const { attributes, data, recursive } = sortOptions(words);
    assert.equal(apply(before, attributes), expected(before, words));
    assert.deepEqual([data, recursive], [[], NONE]);
  }));
});

Deno.test("what is set and cleared is what mount_setattr(2) takes", () => {
  fc.assert(fc.property(fc.array(fc.constantFrom(...WORDS)), (words) => {
    const { set, clear } = sortOptions(words).attributes;
    const time = ffi.MOUNT_ATTR__ATIME;
    // The atime setting is one field: to set it, all of it must be cleared.
    assert(clear & time ? (clear & time) === time : (set & time) === 0);
    assert.equal(set & clear & ~time, 0);
  }));
});

Deno.test("words that begin with r go for the mounts below too, and only they", () => {
  fc.assert(fc.property(fc.array(fc.constantFrom(...WORDS)), (words) => {
    const { attributes, data, recursive } = sortOptions(words.map((word) => `r${word}`));
    assert.deepEqual(recursive, sortOptions(words).attributes);
    assert.deepEqual([attributes, data], [NONE, []]);
  }));
});

Deno.test("ro and relatime are not taken for the recursive o and elatime", () => {
  assert.deepEqual(sortOptions(["ro", "rro"]).attributes, sortOptions(["rro"]).recursive);
  assert.deepEqual(sortOptions(["relatime"]).recursive, NONE);
  assert.deepEqual(sortOptions(["rrelatime"]).attributes, NONE);
});

Deno.test("bind, rbind and propagation are told apart from attributes", () => {
  assert.deepEqual(sortOptions(["bind"]).bind, { recursive: false });
  assert.deepEqual(sortOptions(["bind", "rbind"]).bind, { recursive: true });
  assert.equal(sortOptions(["ro"]).bind, undefined);
  assert.deepEqual(sortOptions(["private", "rslave"]).propagation, {
    type: ffi.MS_SLAVE,
    recursive: true,
  });
  assert.equal(sortOptions([]).propagation, undefined);
  const flags = ["private", "slave", "shared", "unbindable"].map((word) => propagationFlag(word));
  assert.deepEqual(flags, [ffi.MS_PRIVATE, ffi.MS_SLAVE, ffi.MS_SHARED, ffi.MS_UNBINDABLE]);
  assert.equal(propagationFlag("rshared"), ffi.MS_SHARED | ffi.MS_REC);
  assert.equal(propagationFlag("rro"), undefined);
});

Deno.test("what is left is the filesystem's own, in order and unchanged", () => {
  const { data, attributes } = sortOptions(
    [
      "size=64m",
      "nosuid",
      "nr_inodes",
      "lowerdir=/a=b:/c",
      "context=",
      "defaults",
      "async",
      "mode=1777",
    ],
  );
  assert.deepEqual(data, [
    ["size", "64m"],
    ["nr_inodes"],
    ["lowerdir", "/a=b:/c"],
    ["context", ""],
    ["mode", "1777"],
  ]);
  assert.deepEqual(attributes, { set: ffi.MOUNT_ATTR_NOSUID, clear: 0 });
});

Deno.test("no word is taken for what every JavaScript object has", () => {
  for (const word of ["constructor", "toString", "valueOf", "__proto__", "hasOwnProperty"]) {
    for (const option of [word, `r${word}`]) {
      assert.equal(propagationFlag(option), undefined, option);
      const sorted = sortOptions([option]);
      assert.deepEqual(sorted, { ...sortOptions([]), data: [[option]] });
    }
  }
});

Deno.test("any words are sorted, none is lost and none invented", () => {
  fc.assert(fc.property(fc.array(fc.string()), (words) => {
    const { data } = sortOptions(words);
    for (const [key, value] of data) {
      assert(words.includes(value === undefined ? key : `${key}=${value}`));
    }
  }));
});
