import assert from "node:assert/strict";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { CrateError } from "../../errors.ts";
import { inflate, sniff } from "./inflate.ts";

const text = (word: string, count: number) => new TextEncoder().encode(word.repeat(count));
const A = text("first ", 100_000);
const B = text("second ", 3);
const SKIPPED = new Uint8Array([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

async function uncompress(
  bytes: Uint8Array<ArrayBuffer>,
  size = 7,
  told?: number,
  hasDigest = false,
): Promise<Uint8Array> {
  const source = async function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  };
  const parts: Uint8Array[] = [];
  for await (
    const part of inflate(source(), sniff(bytes), {
      ...told === undefined ? {} : { size: told },
      hasDigest,
    })
  ) {
    parts.push(part);
  }
  return joined(...parts);
}

async function refused(bytes: Uint8Array<ArrayBuffer>, reason: RegExp): Promise<void> {
  await assert.rejects(uncompress(bytes), (error) => {
    assert(error instanceof CrateError);
    assert.equal(error.code, "INVALID");
    assert.match(error.message, reason);
    return true;
  });
}

Deno.test("a zstd layer of many frames is read to its end, and what is to be skipped is", async () => {
  const [a, b] = [zstdCompressSync(A), zstdCompressSync(B)];
  const whole = joined(SKIPPED, a, b, SKIPPED, b);
  for (const size of [1, 7, 4096, 1 << 20]) {
    assert.deepEqual(await uncompress(whole, size), joined(A, B, B), `in pieces of ${size}`);
  }
});

Deno.test("frames with and without a size and a checksum end where they end", async () => {
  for (
    const flags of [
      "",
      "--no-check",
      "--no-content-size",
      "--long=27",
      "-1",
      "-19",
      "--format=zstd",
    ]
  ) {
    const args = ["-q", "-c", ...flags === "" ? [] : [flags]];
    const child = new Deno.Command("zstd", { args, stdin: "piped", stdout: "piped" }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(A);
    await writer.close();
    const { stdout } = await child.output();
    assert.deepEqual(await uncompress(joined(stdout, stdout), 1000), joined(A, A), flags);
  }
});

Deno.test("a gzip layer of many members is read to its end, be it known to be small or not", async () => {
  const whole = joined(gzipSync(A), gzipSync(B), gzipSync(A));
  for (const told of [undefined, whole.length]) {
    for (const hasDigest of [false, true]) {
      const read = (bytes: Uint8Array<ArrayBuffer>) => uncompress(bytes, 1000, told, hasDigest);
      assert.deepEqual(await read(whole), joined(A, B, A));
      assert.deepEqual(await read(joined(gzipSync(A))), A);
      assert.deepEqual(await read(joined(gzipSync(""))), new Uint8Array(0));
    }
  }
  // What is written at once to a decoder ends with the first member: noise is not compressed.
  const noise = crypto.getRandomValues(new Uint8Array((1 << 15) - 5 - 18));
  const first = gzipSync(noise, { level: 0 });
  assert.equal(first.length, 1 << 15);
  const both = joined(first, gzipSync(B));
  assert.deepEqual(await uncompress(both, 1 << 15, both.length), joined(noise, B));
});

Deno.test("a small gzip layer that is cut off or changed is refused in the same words as a large one", async () => {
  const whole = gzipSync(A);
  const wrong = whole.slice();
  wrong[wrong.length - 6]! ^= 1; // RFC 1952: CRC32, ISIZE
  for (const part of [whole.subarray(0, 20), whole.subarray(0, -1), wrong]) {
    const bytes = joined(part);
    const said = async (told?: number) => {
      const error: unknown = await uncompress(bytes, 1000, told).catch((error) => error);
      assert(error instanceof CrateError && error.code === "INVALID");
      return error.message;
    };
    assert.match(await said(), /^not valid gzip: /);
    assert.equal(await said(bytes.length), await said());
  }
});

Deno.test("a small gzip layer becomes as large as it will, and what was given stays as it was", async () => {
  for (const size of [0, 1, 4 << 20, (4 << 20) + 1, 9_000_000]) {
    const whole = new Uint8Array(size).map((_, i) => i >> 10);
    const packed = joined(gzipSync(whole));
    for (const hasDigest of [false, true]) {
      const made = await uncompress(packed, 5000, packed.length, hasDigest);
      assert.deepEqual(made, whole, `${size} bytes`);
    }
  }
});

Deno.test("whoever has had enough of a small gzip layer leaves nothing running", async () => {
  const whole = joined(gzipSync(new Uint8Array(10_000_000)));
  const source = async function* () {
    yield whole;
  };
  for await (const part of inflate(source(), "gzip", { size: whole.length })) {
    assert.ok(part.length > 0);
    break;
  }
  const failing = async function* () {
    yield whole.subarray(0, 100);
    throw new Error("the source's");
  };
  const all = inflate(failing(), "gzip", { size: whole.length });
  let size = 0;
  await assert.rejects(async () => {
    for await (const part of all) size += part.length;
  }, /^Error: the source's$/);
  assert.ok(size < 10_000_000);
  const silent = async function* () {
    yield whole.subarray(0, whole.length / 2);
    await new Promise(() => {});
  };
  for await (const part of inflate(silent(), "gzip", { size: whole.length })) {
    assert.ok(part.length > 0);
    break;
  }
});

Deno.test("a zstd layer that is cut off, or not zstd throughout, is refused", async () => {
  const a = zstdCompressSync(A);
  for (const end of [5, 6, 20, a.length - 1]) {
    await refused(joined(a.subarray(0, end)), /^not valid zstd: it ends in the middle of a frame$/);
  }
  await refused(joined(a, text("x", 10)), /^not valid zstd: what is no frame stands behind one$/);
  await refused(joined(a, a.subarray(0, 2)), /ends in the middle/);
  await refused(joined(a, SKIPPED.subarray(0, 9)), /ends in the middle/);
});

Deno.test("a zstd layer that is damaged anywhere is refused, and ends nothing else", async () => {
  const texts = Array.from({ length: 300 }, (_, i) => `file ${i * i}: ${"some text, ".repeat(i)}`);
  const whole = zstdCompressSync(texts.join("\n"));
  let refusals = 0;
  for (let at = 4; at < whole.length; at++) {
    const bytes = joined(whole);
    bytes[at]! ^= 1 << at % 8;
    await uncompress(bytes, 1 << 16).catch((error: unknown) => {
      assert(error instanceof CrateError, `${error}`);
      assert.match(error.message, /^not valid zstd: /);
      refusals++;
    });
  }
  assert.ok(refusals > 100, `${refusals}`);
});

Deno.test("a frame that needs too much memory, a dictionary or the future is refused", async () => {
  const frame = (...bytes: number[]) => new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, ...bytes, 1, 0, 0]);
  // Windows of 2^31 and of 2^27 * 9/8 bytes; a single segment of 2^32 - 1.
  await refused(frame(0, 21 << 3), /takes 2147483648 bytes of memory; 134217728 are allowed$/);
  await refused(frame(0, 17 << 3 | 1), /takes 150994944 bytes/);
  await refused(frame(0xa0, 255, 255, 255, 255), /takes 4294967295 bytes/);
  await refused(frame(1, 0, 9), /^not valid zstd: it needs a dictionary$/);
  await refused(
    new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0, 0, 7, 0, 0]),
    /a block of an unknown type/,
  );
});
