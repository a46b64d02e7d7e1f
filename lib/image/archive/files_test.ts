import assert from "node:assert/strict";
import fc from "fast-check";
import { close, O_RDONLY, open } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { NO_XATTRS, TAR_END, type TarEntry, tarHeader, tarPadding } from "../tar/mod.ts";
import { type ArchiveFiles, tarFiles } from "./files.ts";
import { imagesOf } from "./read.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

type Member = readonly [path: string, content: string, more?: Partial<TarEntry>];

function archive(members: readonly Member[]): Uint8Array<ArrayBuffer> {
  const parts = members.flatMap(([path, content, more]) => {
    const bytes = encode(content);
    const entry: TarEntry = {
      type: "file",
      path,
      linkPath: "",
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: bytes.length,
      mtime: { seconds: 0, nanoseconds: 0 },
      major: 0,
      minor: 0,
      xattrs: NO_XATTRS,
      ...more,
    };
    return [tarHeader(entry), bytes, tarPadding(bytes.length)];
  });
  const all = [...parts, TAR_END];
  const whole = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
  all.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

async function withFiles(
  bytes: Uint8Array<ArrayBuffer>,
  use: (files: ArchiveFiles) => Promise<void> | void,
): Promise<void> {
  const path = Deno.makeTempFileSync();
  Deno.writeFileSync(path, bytes);
  const fd = open(path, O_RDONLY);
  Deno.removeSync(path);
  try {
    await use(tarFiles(fd, "archive"));
  } finally {
    close(fd);
  }
}

const link = (linkPath: string, type: "symlink" | "hardlink" = "symlink") => ({ type, linkPath });

Deno.test("files of an archive are found by their plain names, through links too", () =>
  withFiles(
    archive([
      ["./a/layer.tar", "first"],
      ["b/../c//file", "second"],
      ["b/layer.tar", "", link("../a/layer.tar")],
      ["d", "", link("/b/layer.tar")],
      ["e", "", link("a/layer.tar", "hardlink")],
      ["twice", "old"],
      ["twice", "new"],
      ["loop", "", link("loop")],
      ["long", "x".repeat(1_000_000)],
    ]),
    async (files) => {
      for (const path of ["a/layer.tar", "b/layer.tar", "d", "e"]) {
        assert.equal(decode(files.read(path, 10)), "first", path);
      }
      assert.equal(decode(files.read("c/file", 10)), "second");
      assert.equal(decode(files.read("twice", 10)), "new");
      assert.equal(files.has("loop"), false);
      assert.equal(files.size("long"), 1_000_000);
      assert.equal(await new Response(files.stream("long", { offset: 999_998 })).text(), "xx");
      assert.throws(
        () => files.read("long", 100),
        /^CrateError: archive: "long" has more than 100 bytes/,
      );
      assert.throws(() => files.read("none", 1), /archive has no file "none"/);
    },
  ));

Deno.test("an archive that is cut off is refused", async () => {
  const whole = archive([["a", "x".repeat(2000)]]);
  await withFiles(whole.subarray(0, 1000), (files) => {
    assert.throws(() => files.read("a", 5000), /archive ends too early/);
  });
  await assert.rejects(withFiles(whole.subarray(0, 300), () => {}), /the archive ends too early/);
});

Deno.test("whatever stands in an archive's documents, it is images or one sentence", async () => {
  const text = fc.constantFrom("a:1", "A", "c.json", "../c.json", "", "sha256:" + "a".repeat(64));
  const value = fc.jsonValue({ maxDepth: 3 });
  const docker = fc.array(
    fc.record({
      Config: fc.oneof(text, value),
      RepoTags: fc.oneof(fc.array(text, { maxLength: 2 }), value),
      Layers: fc.oneof(fc.array(text, { maxLength: 2 }), value),
    }, { requiredKeys: [] }),
    { maxLength: 3 },
  );
  const oci = fc.record({
    schemaVersion: fc.constantFrom(2, 1),
    manifests: fc.array(
      fc.record({
        mediaType: fc.constantFrom("application/vnd.oci.image.manifest.v1+json", "x"),
        digest: text,
        size: fc.oneof(fc.nat(100), value),
        annotations: fc.dictionary(fc.constant("org.opencontainers.image.ref.name"), text),
      }, { requiredKeys: [] }),
      { maxLength: 3 },
    ),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(docker, value),
      fc.oneof(oci, value),
      fc.boolean(),
      async (manifest, index, isOci) => {
        const members: Member[] = [["manifest.json", JSON.stringify(manifest)], ["c.json", "{}"]];
        if (isOci) members.push(["oci-layout", "{}"], ["index.json", JSON.stringify(index)]);
        await withFiles(archive(members), async (files) => {
          try {
            for (const { source } of imagesOf(files)) await source.root();
          } catch (error) {
            if (!(error instanceof CrateError)) throw error;
            assert.ok(!error.message.includes("\n"));
          }
        });
      },
    ),
    { numRuns: 2000 },
  );
});
