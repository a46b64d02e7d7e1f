import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { CrateError } from "../../errors.ts";
import { gunzipFast, loadFastGunzip } from "./gunzip.ts";

/** Elsewhere it is not used. */
const ignore = !loadFastGunzip();

const text = (word: string, count: number) => new TextEncoder().encode(word.repeat(count));
const A = text("first ", 100_000);
const B = text("second ", 3);

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

async function* pieces(bytes: Uint8Array<ArrayBuffer>, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function uncompress(bytes: Uint8Array<ArrayBuffer>, size: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of gunzipFast(pieces(bytes, size))) parts.push(part.slice());
  return joined(...parts);
}

async function refused(bytes: Uint8Array<ArrayBuffer>, words: RegExp, size = 1000): Promise<void> {
  await assert.rejects(uncompress(bytes, size), (error: unknown) => {
    assert(error instanceof CrateError, `${error}`);
    assert.equal(error.code, "INVALID");
    assert.match(error.message, words);
    return true;
  });
}

/** A member with fields in its header. RFC 1952, 2.3.1 */
function member(flags: number, fields: Uint8Array): Uint8Array {
  const plain = gzipSync(B);
  return joined(
    plain.subarray(0, 3),
    new Uint8Array([flags]),
    plain.subarray(4, 10),
    fields,
    plain.subarray(10),
  );
}

Deno.test("members with whatever header come one behind the other", { ignore }, async () => {
  const whole = joined(
    gzipSync(A),
    member(0x08, text("name\0", 1)),
    member(0x10, text("comment\0", 1)),
    member(0x04, new Uint8Array([3, 1, ...new Uint8Array(259)])),
    member(0x1e, new Uint8Array([1, 0, 9, 0x61, 0, 0x62, 0, 0x12, 0x34])),
    gzipSync(""),
    gzipSync(B),
  );
  for (const size of [1, 7, 1000, 1 << 20]) {
    assert.equal(
      Buffer.compare(await uncompress(whole, size), joined(A, B, B, B, B, B)),
      0,
      `in pieces of ${size}`,
    );
  }
});

Deno.test("a member repeats nothing from the one before it", { ignore }, async () => {
  // A block of fixed codes: a literal, then three bytes from five bytes before.
  const far = new Uint8Array([
    0x1f,
    0x8b,
    8,
    0,
    0,
    0,
    0,
    0,
    0,
    3,
    0x4b,
    0x04,
    0x12,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
  ]);
  await refused(far, /^not valid gzip: a distance to before the beginning$/);
  await refused(joined(gzipSync(A), far), /^not valid gzip: a distance to before the beginning$/);
  await refused(joined(member(0x08, text("name\0", 1)), far), /before the beginning$/);
});

Deno.test("members with names end wherever the input that is there does", { ignore }, async () => {
  const members = Array.from({ length: 400 }, (_, i) => {
    const data = crypto.getRandomValues(new Uint8Array(i * 5)).map((byte) =>
      i % 3 === 0 ? byte : byte & 3
    );
    const plain = gzipSync(data);
    const header = joined(plain.subarray(0, 3), new Uint8Array([8]), plain.subarray(4, 10));
    return { data, bytes: joined(header, text(`${"n".repeat(i % 9)}\0`, 1), plain.subarray(10)) };
  });
  const whole = joined(...members.map(({ bytes }) => bytes));
  const expected = joined(...members.map(({ data }) => data));
  for (const size of [1, 5, 100, 5000, 1 << 18]) {
    const which = `in pieces of ${size}`;
    assert.equal(Buffer.compare(await uncompress(whole, size), expected), 0, which);
  }
});

Deno.test("fifty thousand small members are read", { ignore }, async () => {
  const one = gzipSync(B);
  const many = joined(...Array.from({ length: 50_000 }, () => one));
  assert.equal((await uncompress(many, 1 << 18)).length, 50_000 * B.length);
});

Deno.test("what stands behind the last member is nothing", { ignore }, async () => {
  for (const rest of [new Uint8Array(1), new Uint8Array(100_000), text("rest", 5)]) {
    let taken = 0;
    const source = async function* () {
      for await (const piece of pieces(joined(gzipSync(A), rest), 1000)) {
        taken += piece.length;
        yield piece;
      }
    };
    const parts: Uint8Array[] = [];
    for await (const part of gunzipFast(source())) parts.push(part.slice());
    assert.equal(Buffer.compare(joined(...parts), A), 0);
    assert.equal(taken, gzipSync(A).length + rest.length);
  }
});

Deno.test("what is cut off anywhere is refused", { ignore }, async () => {
  const whole = joined(
    gzipSync(B),
    member(0x1e, new Uint8Array([1, 0, 9, 0x61, 0, 0x62, 0, 1, 2])),
  );
  const first = gzipSync(B).length;
  for (let end = 0; end < whole.length; end++) {
    // With one byte of a second one it is none.
    if (end === first || end === first + 1) continue;
    await refused(whole.slice(0, end), /^not valid gzip: it ends too early$/, 5);
  }
});

Deno.test("a header that is none, or has no end, is refused", { ignore }, async () => {
  await refused(text("x", 100), /^not valid gzip: it does not begin as gzip does$/);
  await refused(
    member(0x20, new Uint8Array(0)) as Uint8Array<ArrayBuffer>,
    /flags that nobody knows$/,
  );
  const endless = joined(member(0x08, text("x", 1_000_000)));
  await refused(endless, /^not valid gzip: its header has more than \d+ bytes$/, 1 << 16);
});

Deno.test(
  "what comes first lies in one piece of memory, and all of it stays as it was",
  { ignore },
  async () => {
    const whole = new Uint8Array(3_000_000).map((_, i) => i * i >> 9);
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for await (const part of gunzipFast(pieces(joined(gzipSync(whole)), 50_000), 1 << 21)) {
      parts.push(part);
    }
    assert.equal(Buffer.compare(joined(...parts), whole), 0);
    let size = 0;
    for (const part of parts) {
      if (size + part.length <= 1 << 21) assert.equal(part.buffer, parts[0]!.buffer);
      assert.ok(part.length <= 1 << 18);
      size += part.length;
    }
  },
);

Deno.test(
  "whoever has had enough waits for the thread, and not for the source",
  { ignore },
  async () => {
    const whole = joined(gzipSync(new Uint8Array(10_000_000)));
    let isEnded = false;
    const source = async function* () {
      try {
        yield* pieces(whole, 1000);
      } finally {
        isEnded = true;
      }
    };
    for await (const part of gunzipFast(source())) {
      assert.ok(part.length > 0);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve));
    assert.ok(isEnded);
    const silent = async function* () {
      yield whole.subarray(0, whole.length / 2);
      await new Promise(() => {});
    };
    for await (const part of gunzipFast(silent())) {
      assert.ok(part.length > 0);
      break;
    }
  },
);

Deno.test("a source's own error is what is thrown", { ignore }, async () => {
  const failing = async function* () {
    yield joined(gzipSync(A)).subarray(0, 100);
    throw new Error("the source's");
  };
  await assert.rejects(async () => {
    for await (const part of gunzipFast(failing())) assert.ok(part.length >= 0);
  }, /^Error: the source's$/);
});
