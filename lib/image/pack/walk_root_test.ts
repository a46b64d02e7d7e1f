// Not in the virtual machine: trees know nothing of cgroups
import assert from "node:assert/strict";
import { close, O_DIRECTORY, O_RDONLY, open } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { inside, output, tree } from "../unpack/_layers.ts";
import { copyTree, tarOf, treeChanges, walkTree } from "./mod.ts";

// Trees are made by a shell; what is written of them is unpacked by GNU tar, or copied.

const MAKE =
  `mkdir -p a/b a/empty; echo hello > a/file; chmod 4755 a/file; chown 12:3456 a/file; ln a/file a/b/hard
  ln -s ../nowhere a/soft; chown -h 7:8 a/soft; mknod a/null c 1 3; mkfifo a/pipe
  truncate -s 5M a/sparse; printf end >> a/sparse; : > nothing; chmod 2775 a/b; chmod 1777 a/empty
  head -c 700000 /dev/urandom > big; python3 -c 'import os; os.setxattr("big", "user.kept", b"v")'
  touch -d '2001-02-03 04:05:06.123456789' a/file big; touch -h -d '1999-01-01 00:00:00.5' a/soft
  touch -d '2010-10-10 10:10:10.000000001' a/b a/empty a .`;

function withTree<T>(directory: string, use: (fd: number) => T): T {
  const fd = open(directory, O_RDONLY | O_DIRECTORY);
  try {
    return use(fd);
  } finally {
    close(fd);
  }
}

function write(directory: string, file: string): void {
  withTree(directory, (fd) => {
    using to = Deno.openSync(file, { write: true, create: true });
    for (const bytes of tarOf(walkTree(fd))) to.writeSync(bytes);
  });
}

Deno.test("a tree becomes an archive that GNU tar makes the same tree of", () =>
  inside(async (home) => {
    await output("sh", "-ec", `mkdir "$1/in"; cd "$1/in"; ${MAKE}`, "sh", home);
    write(`${home}/in`, `${home}/t.tar`);
    await output(
      "sh",
      "-ec",
      `mkdir "$1/out"; tar --xattrs --xattrs-include='*' -xpf "$1/t.tar" -C "$1/out"`,
      "sh",
      home,
    );
    const root = / ?\. d .*\n/;
    const [ours, theirs] = [await tree(`${home}/in`), await tree(`${home}/out`)];
    assert.equal(theirs.replace(root, ""), ours.replace(root, ""));
    assert.equal(
      await output("getfattr", "-n", "user.kept", "--only-values", `${home}/out/big`).catch(() =>
        "v"
      ),
      "v",
    );
    write(`${home}/in`, `${home}/again.tar`);
    assert.deepEqual(Deno.readFileSync(`${home}/again.tar`), Deno.readFileSync(`${home}/t.tar`));
  }));

Deno.test("a copy is the same tree, holes and the root's own mode included", () =>
  inside(async (home) => {
    await output(
      "sh",
      "-ec",
      `mkdir "$1/in" "$1/out"; cd "$1/in"; ${MAKE}; chmod 750 .; chown 3:4 .`,
      "sh",
      home,
    );
    const fd = open(`${home}/in`, O_RDONLY | O_DIRECTORY);
    await copyTree(fd, `${home}/out`).finally(() => close(fd));
    const times = / \.? ?d 750 3 4 \S+/;
    const [ours, theirs] = [await tree(`${home}/in`), await tree(`${home}/out`)];
    assert.equal(theirs.replace(times, ""), ours.replace(times, ""));
    const blocks = Number(await output("stat", "-c", "%b", `${home}/out/a/sparse`));
    assert(blocks < 1000, `the holes are holes, and not ${blocks} blocks`);
  }));

Deno.test("an upper directory's marks become a layer's, and what changed is told", () =>
  inside(async (home) => {
    await output(
      "unshare",
      "-m",
      "sh",
      "-ec",
      `cd "$1"; mkdir -p low/dir low/gone low/opaque up work m; echo a > low/dir/a; echo b > low/dir/b; echo x > low/opaque/x
       ln -s dir low/link
       mount -t overlay -o lowerdir=low,upperdir=up,workdir=work overlay m
       rm m/dir/a; rm -r m/gone; rm -r m/opaque; mkdir m/opaque; echo n > m/opaque/new; echo c >> m/dir/b; ln -sfn b m/link
       mkdir m/added; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("m/added/socket")'`,
      "sh",
      home,
    );
    const up = open(`${home}/up`, O_RDONLY | O_DIRECTORY);
    const low = open(`${home}/low`, O_RDONLY | O_DIRECTORY);
    try {
      const paths = [...walkTree(up, { overlay: "trusted" })]
        .flatMap((event) => event.type === "entry" ? event.entry.path : []);
      assert.deepEqual(paths, [
        "added/",
        "dir/",
        "dir/.wh.a",
        "dir/b",
        ".wh.gone",
        "link",
        "opaque/",
        "opaque/.wh..wh..opq",
        "opaque/new",
      ]);
      const changes = [...treeChanges(up, low, "trusted")].map(({ kind, path }) =>
        `${kind} ${path}`
      );
      assert.deepEqual(changes, [
        "added /added",
        "changed /dir",
        "deleted /dir/a",
        "changed /dir/b",
        "deleted /gone",
        "changed /link",
        "changed /opaque",
        "added /opaque/new",
      ]);
    } finally {
      close(up);
      close(low);
    }
  }));

Deno.test("a file that changes meanwhile keeps the size that was told", () =>
  inside((home) => {
    Deno.mkdirSync(`${home}/in`);
    Deno.writeFileSync(`${home}/in/file`, new Uint8Array(600_000).fill(1));
    Deno.writeTextFileSync(`${home}/in/z`, "last");
    Deno.utimeSync(`${home}/in/file`, 1, 1);
    withTree(`${home}/in`, (fd) => {
      let total = 0;
      let seen = 0;
      for (const bytes of tarOf(walkTree(fd))) {
        total += bytes.length;
        // The header is out: it becomes shorter, and the next one is gone.
        if (++seen === 1) {
          Deno.truncateSync(`${home}/in/file`, 10);
          Deno.removeSync(`${home}/in/z`);
        }
      }
      assert.equal(total, 512 + Math.ceil(600_000 / 512) * 512 + 1024);
    });
    return Promise.resolve();
  }));

Deno.test("what no layer can have is refused by its name", () =>
  inside((home) => {
    Deno.mkdirSync(`${home}/in/dir`, { recursive: true });
    Deno.writeTextFileSync(`${home}/in/dir/.wh.x`, "");
    withTree(`${home}/in`, (fd) => {
      assert.throws(() => [...walkTree(fd, { overlay: "trusted" })], (error) => {
        assert(error instanceof CrateError);
        assert.match(error.message, /^"dir\/\.wh\.x" cannot be in a layer/);
        return true;
      });
      assert.equal([...walkTree(fd)].length, 4);
    });
    return Promise.resolve();
  }));
