// Not in the virtual machine: layers know nothing of cgroups
import assert from "node:assert/strict";
import { CrateError } from "../../errors.ts";
import { archive, inside, type Member, output, unpack } from "./_layers.ts";
import type { UnpackLimits } from "./mod.ts";

// Layers on layers, and unpacking that does not get to its end.

const BELOW = archive([
  { path: "etc/", type: "5", mode: 0o750, uid: 7 },
  { path: "etc/passwd", data: "below" },
  { path: "real/", type: "5" },
  { path: "link", type: "2", link: "real" },
  { path: "dir/", type: "5" },
  { path: "dir/link", type: "2", link: "../real" },
]);

async function refused(promise: Promise<unknown>, code: string, reason: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert(error instanceof CrateError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, reason);
    return true;
  });
}

const openDescriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;

Deno.test("a mark that hides what entries before it were led by is refused", () =>
  inside(async (home) => {
    const lowers = [`${home}/below`];
    await unpack(BELOW, lowers[0]!);
    const layers: Record<string, readonly Member[]> = {
      "dir/.wh..wh..opq": [{ path: "dir/link/file", data: "x" }, { path: "dir/.wh..wh..opq" }],
      ".wh.link": [{ path: "link/file", data: "x" }, { path: ".wh.link" }],
      ".wh.etc": [{ path: "etc/new/file", data: "x" }, { path: ".wh.etc" }],
    };
    for (const [i, [mark, members]] of Object.entries(layers).entries()) {
      const reason = new RegExp(`entry "${mark.replaceAll(".", "\\.")}" hides what entries before`);
      await refused(unpack(archive(members), `${home}/late${i}`, { lowers }), "INVALID", reason);
    }
  }));

Deno.test("a mark counts for its whole layer, wherever it stands", () =>
  inside(async (home) => {
    const lowers = [`${home}/below`];
    await unpack(BELOW, lowers[0]!);
    const members = [
      { path: "dir/", type: "5" },
      { path: "dir/own", data: "own" },
      { path: "dir/sub/", type: "5" },
      { path: "dir/.wh..wh..opq" },
      // Nothing of the link below is to be followed any more.
      { path: "dir/link/file", data: "x" },
    ];
    await unpack(archive(members), `${home}/late`, { lowers });
    const names = [...Deno.readDirSync(`${home}/late/dir`)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["link", "own", "sub"]);
    assert.equal(Deno.readTextFileSync(`${home}/late/dir/link/file`), "x");
    // A hard link to what is hidden leads nowhere.
    const link = [...members, { path: "hard", type: "1", link: "dir/sub/nothing" }];
    await refused(
      unpack(archive(link), `${home}/hard`, { lowers }),
      "INVALID",
      /entry "hard" is a hard link to "dir\/sub\/nothing", which does not exist/,
    );
  }));

Deno.test("a layer that grows beyond its bounds is refused, and the entry named", () =>
  inside(async (home) => {
    const zeros = archive([
      { path: "small", data: "x" },
      { path: "zeros", data: "\0".repeat(3_000_000) },
    ]);
    const bounds: [UnpackLimits, RegExp][] = [
      [{ bytes: 1_000_000 }, /it has more than 1000000 bytes uncompressed, behind entry "zeros"$/],
      [
        { ratio: 100, free: 1_000_000 },
        /: \d+ compressed bytes become more than 100 times as many, behind entry "zeros"$/,
      ],
      [{ entries: 1 }, /member "zeros": more than 1 members$/],
    ];
    for (const [i, [limits, reason]] of bounds.entries()) {
      await refused(unpack(zeros, `${home}/${i}`, { limits }), "INVALID", reason);
    }
    await unpack(zeros, `${home}/free`, { limits: { ratio: 100 } });
    assert.equal(Deno.statSync(`${home}/free/zeros`).size, 3_000_000);
  }));

Deno.test("an abort ends the unpacking at once, even of a source that is silent", () =>
  inside(async (home) => {
    const stop = new AbortController();
    let cancelled: unknown;
    const silent = new ReadableStream<Uint8Array<ArrayBuffer>>({
      cancel(reason) {
        cancelled = reason;
      },
    });
    const promise = unpack(archive([]), `${home}/silent`, { source: silent, signal: stop.signal });
    setTimeout(() => stop.abort(new Error("enough")), 20);
    await assert.rejects(promise, /^Error: enough$/);
    assert.match(String(cancelled), /enough/);
  }));

Deno.test("what does not fit into a file's extended attributes is not told as a full disk alone", () =>
  inside(async (home) => {
    const disk = `${home}/ext4`;
    await output(
      "sh",
      "-ec",
      'truncate -s 16M "$1.img"; mkfs.ext4 -q "$1.img"; mkdir "$1"',
      "sh",
      disk,
    );
    const mounted = await new Deno.Command("mount", { args: ["-o", "loop", `${disk}.img`, disk] })
      .output();
    // Where there is no loop device the directory itself is as good: ext4 is what most have.
    const value = "v".repeat(20_000);
    try {
      await refused(
        unpack(
          archive([{ path: "file", data: "x", pax: { "SCHILY.xattr.user.big": value } }]),
          `${disk}/ours`,
        ),
        "FAILED",
        /entry "file": no room for its extended attributes: too large for this file system, or it is full$/,
      );
    } finally {
      if (mounted.success) await output("umount", disk);
    }
  }));

Deno.test("nothing stays open when the directory to unpack into cannot be opened", () =>
  inside(async (home) => {
    await unpack(BELOW, `${home}/below`);
    const before = openDescriptors();
    for (let i = 0; i < 10; i++) {
      const options = { lowers: [`${home}/below`], directory: `${home}/nothing` };
      await assert.rejects(unpack(archive([]), `${home}/made${i}`, options));
      const none = { lowers: [`${home}/below`, `${home}/nothing`] };
      await assert.rejects(unpack(archive([]), `${home}/other${i}`, none));
    }
    assert.equal(openDescriptors(), before);
  }));

Deno.test("inside a user namespace a layer is unpacked in the form that its overlays read", () =>
  inside(async (home) => {
    const below = archive([
      { path: "gone", data: "x" },
      { path: "dir/", type: "5" },
      { path: "dir/hidden", data: "x" },
    ]);
    const above = archive([
      { path: ".wh.gone" },
      { path: "dir/", type: "5" },
      { path: "dir/.wh..wh..opq" },
      { path: "dir/own", data: "own", pax: { "SCHILY.xattr.user.kept": "v" } },
    ]);
    const foreign = archive([{ path: "file", data: "x", uid: 1234 }]);
    for (const [name, bytes] of Object.entries({ below, above, foreign })) {
      Deno.writeFileSync(`${home}/${name}.tar`, bytes);
    }
    const here = new URL("./", import.meta.url).href;
    const script = `
      import { unpack } from "${here}_layers.ts";
      const [name, lower] = Deno.args;
      const lowers = lower === undefined ? [] : ["${home}/ours/" + lower];
      const options = { xattrs: "user", lowers };
      try {
        const { skippedDevices } = await unpack(
          Deno.readFileSync("${home}/" + name + ".tar"), "${home}/ours/" + name, options);
        console.log("skipped", skippedDevices);
      } catch (error) {
        console.log(error.message.replace(/sha256:[0-9a-f]+/, "DIGEST"));
      }
    `;
    Deno.writeTextFileSync(`${home}/unpack.ts`, script);
    Deno.mkdirSync(`${home}/ours`, { mode: 0o777 });
    Deno.chownSync(`${home}/ours`, 0, 0);
    const deno = [Deno.execPath(), "run", "-A", "--no-check", `${home}/unpack.ts`].join(" ");
    const seen = await output(
      "unshare",
      "--user",
      "--map-root-user",
      "--mount",
      "sh",
      "-ec",
      `${deno} below; ${deno} above below; ${deno} foreign
       cd "$1/ours"; mkdir m; mount -t overlay -o userxattr,lowerdir=above:below overlay m; find m -mindepth 1 | sort`,
      "sh",
      home,
    );
    assert.equal(
      seen,
      "skipped 0\nskipped 0\n" +
        'layer DIGEST: entry "file": cannot set its owner; this user namespace has no such id: ' +
        "/etc/subuid and /etc/subgid must give the user enough of them\n" +
        "m/dir\nm/dir/own\n",
    );
  }));
