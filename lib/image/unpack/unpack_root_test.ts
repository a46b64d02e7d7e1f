// Not in the virtual machine: layers know nothing of cgroups
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import type { Digest } from "../types.ts";
import { archive, digestOf, inside, type Member, output, pieces, tree, unpack } from "./_layers.ts";

Deno.test("a layer becomes what GNU tar makes of it: modes, owners, times, links, devices, holes", () =>
  inside(async (home) => {
    await output(
      "sh",
      "-ec",
      `mkdir -p "$1/in/a/b" "$1/in/empty"; cd "$1/in"
       echo hello > a/file; chmod 4755 a/file; chown 12:3456 a/file; ln a/file a/b/hard
       ln -s ../nowhere a/soft; chown -h 7:8 a/soft; mknod a/null c 1 3; mknod a/disk b 259 70000; mkfifo a/pipe
       truncate -s 5M a/sparse; printf end >> a/sparse; : > nothing; chmod 2775 a/b; chmod 1777 empty
       head -c 700000 /dev/urandom > big
       touch -d '2001-02-03 04:05:06.123456789' a/file big; touch -h -d '1999-01-01 00:00:00.5' a/soft
       touch -d '2010-10-10 10:10:10.000000001' a/b empty a .
       tar --format=pax --sparse -cf ../t.tar .; mkdir ../gnu; tar -xpf ../t.tar -C ../gnu`,
      "sh",
      home,
    );
    const result = await unpack(Deno.readFileSync(`${home}/t.tar`), `${home}/ours`);
    assert.equal(await tree(`${home}/ours`), await tree(`${home}/gnu`));
    assert(result.entries > 10);
    const blocks = Number(await output("stat", "-c", "%b", `${home}/ours/a/sparse`));
    assert(blocks < 1000, `the holes are holes, and not ${blocks} blocks`);
  }));

Deno.test("a layer that is not compressed is read and hashed twice where it lies", () =>
  inside(async (home) => {
    const noise = crypto.getRandomValues(new Uint8Array(50_000));
    const data = Array.from(noise, (byte) => String.fromCharCode(byte & 0x7f)).join("").repeat(120);
    const tar = archive([{ path: "large", data }, { path: "small", data: "small" }]);
    const sha512 = `sha512:${createHash("sha512").update(tar).digest("hex")}` as const;
    const given = digestOf(tar);
    for (
      const [round, [digest, diffId]] of [
        [given, given],
        [given, given],
        [given, sha512],
        [sha512, given],
      ].entries()
    ) {
      let at = 0;
      const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
        pull(controller) {
          if (at >= tar.length) controller.close();
          else controller.enqueue(tar.slice(at, at += 1 << 18));
        },
      });
      const mediaType = "application/vnd.oci.image.layer.v1.tar";
      const descriptor = { mediaType, digest: digest as Digest, size: tar.length };
      const directory = `${home}/${round}`;
      await unpack(tar, directory, { source, descriptor, diffId: diffId as Digest });
      assert.equal(Deno.readTextFileSync(`${directory}/large`), data);
      assert.equal(Deno.readTextFileSync(`${directory}/small`), "small");
    }
  }));

Deno.test("what stands behind an archive's end takes no memory", () =>
  inside(async (home) => {
    const files = archive([{ path: "file", data: "x" }]);
    // Each page is there before it is counted, and not when it is read.
    const tar = new Uint8Array(300_000_000).fill(1).fill(0);
    tar.set(files);
    const before = Deno.memoryUsage().rss;
    let most = 0;
    await unpack(tar, `${home}/ours`, {
      onProgress: () => most = Math.max(most, Deno.memoryUsage().rss),
    });
    assert.ok(most - before < 200_000_000, `${(most - before) / 1e6} MB`);
  }));

Deno.test("whiteouts become overlayfs's, and never take away what the layer itself has", () =>
  inside(async (home) => {
    await unpack(
      archive([
        { path: "gone/", type: "5" },
        { path: "gone/.wh.file" },
        { path: "opaque/", type: "5" },
        { path: "opaque/.wh..wh..opq" },
        { path: ".wh..wh.plnk/1.2", data: "aufs" },
        { path: "first/", type: "5" },
        { path: ".wh.first" },
        { path: ".wh.second" },
        { path: "second/", type: "5" },
        { path: "kept", data: "kept" },
        { path: ".wh.kept" },
      ]),
      `${home}/ours`,
    );
    assert.equal(
      await output("stat", "-c", "%F %t %T", `${home}/ours/gone/file`),
      "character special file 0 0\n",
    );
    assert.equal(Deno.readTextFileSync(`${home}/ours/kept`), "kept");
    assert.deepEqual(
      [...Deno.readDirSync(`${home}/ours`)].map(({ name }) => name).sort(),
      ["first", "gone", "kept", "opaque", "second"],
    );
    // Seen through a real overlay: what the layer below has is hidden.
    const seen = await output(
      "unshare",
      "-m",
      "sh",
      "-ec",
      `cd "$1"; mkdir -p low/gone low/opaque low/first low/second m
       touch low/gone/file low/gone/stays low/opaque/x low/first/x low/second/x
       mount -t overlay overlay -o "lowerdir=$1/ours:$1/low" m; cd m; find . -type f | sort`,
      "sh",
      home,
    );
    assert.equal(seen, "./gone/stays\n./kept\n");
  }));

Deno.test("what lies in a directory of a layer below goes there, with that directory's attributes", () =>
  inside(async (home) => {
    await output(
      "sh",
      "-ec",
      `mkdir -p "$1/low/usr/lib" ; cd "$1/low"; ln -s usr/lib lib; chmod 750 usr; chown 5:6 usr
       echo one > usr/lib/one; touch -d 2002-02-02 usr`,
      "sh",
      home,
    );
    const layer = archive([
      { path: "lib/x", data: "x" },
      { path: "another", type: "1", link: "lib/one" },
    ]);
    await unpack(layer, `${home}/ours`, { lowers: [`${home}/low`] });
    assert.equal(Deno.readTextFileSync(`${home}/ours/usr/lib/x`), "x");
    assert.throws(() => Deno.lstatSync(`${home}/ours/lib`), Deno.errors.NotFound);
    const status = "%a %u %g %Y";
    assert.equal(
      await output("stat", "-c", status, `${home}/ours/usr`),
      await output("stat", "-c", status, `${home}/low/usr`),
    );
    assert.equal(Deno.readTextFileSync(`${home}/ours/another`), "one\n");
    assert.equal(await output("stat", "-c", "%h", `${home}/ours/usr/lib/one`), "2\n");
  }));

const REFUSED: Readonly<Record<string, { members: Member[]; why: RegExp }>> = {
  "an entry above the root": {
    members: [{ path: "../outside/canary", data: "dead" }],
    why: /"\.\.\/outside\/canary" leads out/,
  },
  "a hard link to outside": {
    members: [{ path: "x", type: "1", link: "../outside/canary" }],
    why: /"x" is a hard link that leads out/,
  },
  "a hard link to nothing": {
    members: [{ path: "x", type: "1", link: "/etc/passwd" }],
    why: /"x" is a hard link to "etc\/passwd", which does not exist/,
  },
  "a whiteout of outside": { members: [{ path: "a/.wh..." }], why: /is a whiteout of no name/ },
  "links in a circle": {
    members: [
      { path: "a", type: "2", link: "b" },
      { path: "b", type: "2", link: "a" },
      { path: "a/x" },
    ],
    why: /"a\/x" leads through too many links/,
  },
  "a file in a file": {
    members: [{ path: "a", data: "1" }, { path: "a/x" }],
    why: /"a\/x" lies in "a", which is not a directory/,
  },
  "a name of 300 bytes": { members: [{ path: "n".repeat(300) }], why: /a name of 300 bytes/ },
  "a root that is no directory": {
    members: [{ path: "./", type: "2", link: "/etc" }],
    why: /would replace the layer's root/,
  },
  "directories without end": {
    members: [{ path: "d/".repeat(600), type: "5" }],
    why: /lies deeper than 512 directories/,
  },
};

for (const [what, { members, why }] of Object.entries(REFUSED)) {
  Deno.test(`a layer with ${what} is refused, and the entry named`, () =>
    inside(async (home) => {
      await assert.rejects(unpack(archive(members), `${home}/ours`), (error) => {
        assert(error instanceof Error && error.name === "CrateError");
        assert.match(error.message, why);
        return true;
      });
    }));
}

Deno.test("links that lead out lead to the layer's own root, and are replaced, not followed", () =>
  inside(async (home) => {
    await unpack(
      archive([
        { path: "out", type: "2", link: `${home}/outside` },
        { path: "out/canary", data: "dead" },
        { path: "up", type: "2", link: "../../../../outside" },
        { path: "up/canary", data: "dead" },
        { path: "through", type: "2", link: `${home}/outside/canary` },
        { path: "through", data: "a file now" },
        { path: "/absolute", data: "below" },
        { path: "mark/", type: "5", pax: { "SCHILY.xattr.trusted.overlay.redirect": "/outside" } },
        { path: "turn/in/", type: "5" },
        { path: "turn/in/file" },
        { path: "turn", data: "file" },
        { path: "back", data: "file" },
        { path: "back/", type: "5" },
      ]),
      `${home}/ours`,
    );
    assert.equal(Deno.readTextFileSync(`${home}/ours/outside/canary`), "dead");
    assert.equal(Deno.readTextFileSync(`${home}/ours${home}/outside/canary`), "dead");
    assert.equal(Deno.readTextFileSync(`${home}/ours/through`), "a file now");
    assert.equal(Deno.readTextFileSync(`${home}/ours/absolute`), "below");
    assert.equal(Deno.readTextFileSync(`${home}/ours/turn`), "file");
    assert(Deno.lstatSync(`${home}/ours/back`).isDirectory);
    const list = "import os,sys; print(os.listxattr(sys.argv[1]))";
    assert.equal(await output("python3", "-c", list, `${home}/ours/mark`), "[]\n");
  }));

Deno.test("a wrong digest, a wrong diffID and a wrong size are each found", () =>
  inside(async (home) => {
    const tar = archive([{ path: "a", data: "1" }]);
    const bytes = new Uint8Array(gzipSync(tar));
    const good = { mediaType: "", digest: digestOf(bytes), size: bytes.length };
    const other = digestOf(new Uint8Array(1));
    const source = () => pieces(bytes);
    await assert.rejects(
      unpack(tar, `${home}/1`, { source: source(), descriptor: { ...good, digest: other } }),
      /its bytes have the digest/,
    );
    await assert.rejects(unpack(tar, `${home}/2`, { diffId: other }), /the image's config says/);
    await assert.rejects(
      unpack(tar, `${home}/3`, { source: source(), descriptor: { ...good, size: 10 } }),
      /more than the 10 bytes/,
    );
    const long = { ...good, size: bytes.length + 1 };
    await assert.rejects(
      unpack(tar, `${home}/4`, { source: source(), descriptor: long }),
      /should have/,
    );
  }));

Deno.test("a full disk is told in one sentence", () =>
  inside(async (home) => {
    const layer = archive([{ path: "big", data: "x".repeat(6 << 20) }]);
    Deno.mkdirSync(`${home}/small`);
    await output("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", `${home}/small`);
    try {
      await assert.rejects(unpack(layer, `${home}/small/ours`), /"big": no space left/);
    } finally {
      await output("umount", `${home}/small`);
    }
  }));
