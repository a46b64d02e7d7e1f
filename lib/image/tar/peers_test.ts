import assert from "node:assert/strict";
import { CrateError } from "../../errors.ts";
import { joined } from "./_generate.ts";
import {
  bytesOf,
  byteString,
  byteStringOf,
  NO_XATTRS,
  TAR_END,
  type TarEntry,
  tarHeader,
  tarPadding,
  TarReader,
} from "./mod.ts";

// What GNU tar and Python's tarfile write is read, and what is written here is read by them.

interface Seen {
  readonly entry: TarEntry;
  readonly content: Uint8Array;
}

function read(archive: Uint8Array<ArrayBuffer>): Seen[] {
  const seen: { entry: TarEntry; content: Uint8Array }[] = [];
  const reader = new TarReader({
    entry: (entry) => void seen.push({ entry, content: new Uint8Array(entry.size) }),
    data: (chunk, offset) => seen.at(-1)!.content.set(chunk, offset),
    end() {},
  });
  for (let at = 0; at < archive.length; at += 1000) reader.push(archive.subarray(at, at + 1000));
  reader.finish();
  return seen;
}

async function run(file: string, args: readonly string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(file, { args: [...args], cwd })
    .output();
  const text = new TextDecoder();
  assert.ok(success, `${file} ${args.join(" ")}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}

async function inside(use: (home: string) => Promise<void>): Promise<void> {
  const home = Deno.makeTempDirSync({ prefix: "crate-tar-" });
  try {
    await use(home);
  } finally {
    Deno.removeSync(home, { recursive: true });
  }
}

const LONG = `${"directory/".repeat(20)}${"n".repeat(120)}`;

Deno.test("every format of GNU tar's is read: names, links, times, holes", () =>
  inside(async (home) => {
    await run("sh", [
      "-ec",
      `mkdir -p in/$(dirname "$1"); cd in; echo content > "$1"; ln "$1" hard; ln -s "$1" soft
       printf start > sparse; truncate -s 3M sparse; printf middle >> sparse; truncate -s 5M sparse
       touch -d @1000000000.123456789 hard; mkfifo pipe; : > ünïcode`,
      "sh",
      LONG,
    ], home);
    const short = ["hard", "soft", "sparse", "pipe", "ünïcode"];
    for (const format of ["v7", "ustar", "oldgnu", "gnu", "posix"]) {
      const isOld = format === "v7" || format === "ustar";
      const names = isOld
        ? ["sparse", "ünïcode", ...format === "v7" ? [] : ["pipe"]]
        : [LONG, ...short];
      for (
        const sparse of isOld ? [[]] : [[], ["--sparse"], ["--sparse", "--sparse-version=0.1"]]
      ) {
        const words = [`--format=${format}`, "--owner=12", "--group=34", ...sparse];
        await run("tar", [...words, "-cf", "../t.tar", "--", ...names], `${home}/in`);
        const what = words.join(" ");
        const seen = read(Deno.readFileSync(`${home}/t.tar`));
        assert.deepEqual(
          seen.map(({ entry }) => entry.path),
          names.map((name) => byteStringOf(name)),
          what,
        );
        for (const { entry, content } of seen) {
          assert.deepEqual([entry.uid, entry.gid], [12, 34], what);
          if (entry.path === "sparse") {
            assert.deepEqual(content, Deno.readFileSync(`${home}/in/sparse`), what);
          }
          if (entry.path === "hard") {
            assert.equal(entry.type, "hardlink");
            assert.equal(entry.linkPath, LONG);
          }
          if (entry.path === "soft") assert.equal(entry.linkPath, LONG);
          if (entry.path === LONG) {
            const nanoseconds = format === "posix" ? 123456789 : 0;
            assert.deepEqual(entry.mtime, { seconds: 1_000_000_000, nanoseconds }, what);
          }
        }
      }
    }
  }));

Deno.test("Python's tarfile is read: large numbers, attributes, global headers", () =>
  inside(async (home) => {
    const script = `
import tarfile, io
for name, format in (("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
    with tarfile.open(name + ".tar", "w", format=format, pax_headers={"comment": "global"}) as archive:
        info = tarfile.TarInfo("file")
        info.uid, info.gid, info.mtime, info.size = 4294967294, 3000000000, 1234567890, 4
        if name == "pax":
            info.pax_headers = {"SCHILY.xattr.user.a": "value", "mtime": "-1.5"}
        archive.addfile(info, io.BytesIO(b"data"))
`;
    await run("python3", ["-c", script], home);
    for (const format of ["gnu", "pax"]) {
      const [{ entry, content }] = read(Deno.readFileSync(`${home}/${format}.tar`)) as [Seen];
      assert.deepEqual([entry.uid, entry.gid], [4294967294, 3000000000]);
      assert.equal(byteString(content), "data");
      if (format === "gnu") continue;
      assert.deepEqual(entry.mtime, { seconds: -2, nanoseconds: 500_000_000 });
      assert.equal(byteString(entry.xattrs.get("user.a")!), "value");
    }
  }));

const PLAIN: TarEntry = {
  type: "file",
  path: "file",
  linkPath: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  major: 0,
  minor: 0,
  xattrs: NO_XATTRS,
};

Deno.test("what is written is read by GNU tar and by Python", () =>
  inside(async (home) => {
    const content = bytesOf("hello");
    const file = {
      ...PLAIN,
      path: LONG,
      size: content.length,
      mode: 0o4755,
      uid: 0xfffffffe,
      gid: 8 ** 7,
      mtime: { seconds: 1_600_000_000, nanoseconds: 5 },
      xattrs: new Map([["user.b", bytesOf("\0\n=")]]),
    };
    const archive = joined([
      tarHeader(file),
      content,
      tarPadding(content.length),
      tarHeader({ ...PLAIN, type: "hardlink", path: "hard", linkPath: LONG }),
      tarHeader({ ...PLAIN, type: "symlink", path: "soft", linkPath: LONG, mode: 0o777 }),
      tarHeader({ ...PLAIN, type: "character", path: "null", major: 1, minor: 3 }),
      tarHeader({ ...PLAIN, type: "directory", path: "dir/", mode: 0o1777 }),
      TAR_END,
    ]);
    Deno.writeFileSync(`${home}/t.tar`, archive);
    const listed = await run("tar", ["--numeric-owner", "--full-time", "-tvf", "t.tar"], home);
    const lines = listed.trimEnd().split("\n");
    assert.match(lines[0]!, /^-rwsr-xr-x 4294967294\/2097152 +5 .*\.000000005 /);
    assert.match(lines[1]!, new RegExp(`^h.* hard link to ${LONG}$`));
    assert.match(lines[2]!, new RegExp(`^l.* soft -> ${LONG}$`));
    assert.match(lines[3]!, /^crw-r--r--.* 1,3 .* null$/);
    assert.match(lines[4]!, /^drwxrwxrwt.* dir\/$/);
    const script = `
import tarfile
archive = tarfile.open("t.tar")
info = archive.getmembers()[0]
print(info.uid, info.gid, info.size, info.pax_headers["mtime"], archive.extractfile(info).read(), len(archive.getmembers()))
`;
    assert.equal(
      await run("python3", ["-c", script], home),
      "4294967294 2097152 5 1600000000.000000005 b'hello' 5\n",
    );
  }));

Deno.test("a global header takes what was said before it of a next member with it, as for Go", () => {
  const pax = bytesOf("12 path=new\n");
  const meta = (type: string) => {
    const header = tarHeader({ ...PLAIN, path: "meta", size: pax.length });
    header[156] = type.charCodeAt(0);
    let sum = 256;
    for (let i = 0; i < 512; i++) if (i < 148 || i >= 156) sum += header[i]!;
    header.set(bytesOf(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
    return [header, pax, tarPadding(pax.length)];
  };
  const paths = (...types: string[]) =>
    read(joined([...types.flatMap(meta), tarHeader(PLAIN), TAR_END])).map(({ entry }) =>
      entry.path
    );
  assert.deepEqual(paths("x"), ["new"]);
  assert.deepEqual(paths("x", "g"), ["file"]);
  assert.deepEqual(paths("g", "x"), ["new"]);
});

Deno.test("numbers that no archive can have are refused", () => {
  const wrong: Partial<TarEntry>[] = [
    { uid: -1 },
    { gid: 0xffffffff },
    { size: NaN },
    { size: 1.5 },
    { mode: 0o10000 },
    { major: 4096 },
    { minor: -1 },
    { mtime: { seconds: NaN, nanoseconds: 0 } },
    { mtime: { seconds: 0, nanoseconds: 1e9 } },
  ];
  for (const change of wrong) {
    assert.throws(() => tarHeader({ ...PLAIN, ...change }), (error) => {
      assert.ok(error instanceof CrateError);
      assert.match(error.message, new RegExp(`^"file": ${Object.keys(change)[0]} `));
      return true;
    });
  }
});
