import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../../errors.ts";
import { archiveOf, type Member, member } from "./_generate.ts";
import { type TarEntry, TarReader } from "./mod.ts";

/** Reads an archive in pieces of `step` bytes; holds that content stays within what was declared. */
function read(archive: Uint8Array<ArrayBuffer>, step: number): Member[] {
  const members: Member[] = [];
  let entry: TarEntry | undefined;
  let pieces: number[] = [];
  let end = 0;
  const reader = new TarReader({
    entry(next) {
      assert.equal(entry, undefined);
      entry = next;
      pieces = [];
      end = 0;
    },
    data(chunk, offset) {
      assert.ok(offset >= end && offset + chunk.length <= entry!.size);
      end = offset + chunk.length;
      for (const byte of chunk) pieces.push(byte);
    },
    end() {
      members.push({ entry: entry!, content: new Uint8Array(pieces) });
      entry = undefined;
    },
  });
  for (let at = 0; at < archive.length; at += step) reader.push(archive.subarray(at, at + step));
  reader.finish();
  return members;
}

const steps = fc.constantFrom(1, 7, 511, 512, 513, 4096);

Deno.test("what is written is read again, whatever the pieces it comes in", () => {
  fc.assert(
    fc.property(fc.array(member, { maxLength: 3 }), steps, (members, step) => {
      assert.deepEqual(read(archiveOf(members), step), members);
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("a damaged archive gives members or a clear error, and nothing beyond a declared size", () => {
  const change = fc.record({
    kind: fc.constantFrom("flip", "cut", "splice", "number"),
    at: fc.nat(),
    value: fc.integer({ min: 0, max: 255 }),
  });
  // Few archives, many changes of each: making them takes longer than reading.
  const archives = fc.sample(fc.array(member, { minLength: 1, maxLength: 3 }), 300).map(archiveOf);
  fc.assert(
    fc.property(
      fc.constantFrom(...archives),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      fc.constantFrom(512, 700, 1 << 16),
      (whole, changes, step) => {
        let archive = whole.slice();
        for (const { kind, at, value } of changes) archive = damaged(archive, kind, at, value);
        try {
          read(archive, step);
        } catch (error) {
          if (!(error instanceof CrateError)) throw error;
        }
      },
    ),
    { numRuns: 100_000 },
  );
});

function damaged(
  archive: Uint8Array<ArrayBuffer>,
  kind: string,
  where: number,
  value: number,
): Uint8Array<ArrayBuffer> {
  if (archive.length < 512) return archive;
  const at = where % archive.length;
  const block = at - at % 512;
  switch (kind) {
    case "cut":
      return archive.slice(0, at);
    case "splice":
      archive.copyWithin(at, block, Math.min(block + 700, archive.length));
      return archive;
    case "flip":
      archive[at] = value;
      break;
    default:
      archive[Math.min(block + 124 + value % 12, archive.length - 1)] = 0x30 + value % 8;
      if (value > 200) archive[block + 156] = [0x78, 0x67, 0x4c, 0x4b, 0x53, 0x56][value % 6]!;
  }
  // Most changes would end at the checksum: it is made right again.
  if (block + 512 <= archive.length && value % 4 !== 0) {
    let sum = 256;
    for (let i = 0; i < 512; i++) if (i < 148 || i >= 156) sum += archive[block + i]!;
    archive.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), block + 148);
  }
  return archive;
}
