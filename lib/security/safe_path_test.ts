import assert from "node:assert/strict";
import { close, O_DIRECTORY, O_PATH, open } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { readInRoot } from "./safe_path.ts";

async function inRoot(body: (root: number, path: string) => void | Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  const root = open(path, O_PATH | O_DIRECTORY);
  try {
    await body(root, path);
  } finally {
    close(root);
    await Deno.remove(path, { recursive: true });
  }
}

const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;

Deno.test("a file below the root is read, one that is not there is not", () =>
  inRoot((root, path) => {
    Deno.mkdirSync(`${path}/etc`);
    Deno.writeTextFileSync(`${path}/etc/passwd`, "root:x:0:0::/root:/bin/sh\n");
    Deno.writeTextFileSync(`${path}/etc/empty`, "");
    assert.equal(readInRoot(root, "/etc/passwd", 100), "root:x:0:0::/root:/bin/sh\n");
    assert.equal(readInRoot(root, "etc/passwd", 100), "root:x:0:0::/root:/bin/sh\n");
    assert.equal(readInRoot(root, "/etc/empty", 0), "");
    assert.equal(readInRoot(root, "/etc/group", 100), undefined);
    assert.equal(readInRoot(root, "/nowhere/group", 100), undefined);
    assert.equal(readInRoot(root, "/etc/passwd/group", 100), undefined);
  }));

Deno.test("links and dots end at the root, not on the host", () =>
  inRoot((root, path) => {
    Deno.mkdirSync(`${path}/etc`);
    Deno.symlinkSync("/etc/passwd", `${path}/absolute`);
    Deno.symlinkSync("../../../../../../../../etc/passwd", `${path}/etc/relative`);
    Deno.symlinkSync("/", `${path}/up`);
    for (
      const name of ["/absolute", "/etc/relative", "/../../../../etc/passwd", "/up/../etc/passwd"]
    ) {
      assert.equal(readInRoot(root, name, 1 << 20), undefined, name);
    }
    Deno.writeTextFileSync(`${path}/etc/passwd`, "mine");
    for (
      const name of ["/absolute", "/etc/relative", "/../../../../etc/passwd", "/up/../etc/passwd"]
    ) {
      assert.equal(readInRoot(root, name, 1 << 20), "mine", name);
    }
  }));

Deno.test("a link in a circle is refused", () =>
  inRoot((root, path) => {
    Deno.symlinkSync("/b", `${path}/a`);
    Deno.symlinkSync("/a", `${path}/b`);
    assert.throws(() => readInRoot(root, "/a", 100), /links in a circle/);
  }));

Deno.test("the links of /proc are not followed", () => {
  const root = open("/", O_PATH | O_DIRECTORY);
  try {
    assert.throws(() => readInRoot(root, "/proc/self/exe", 100), /or through \/proc's$/);
  } finally {
    close(root);
  }
});

Deno.test("a fifo, a directory and a device are refused at once, not opened", () =>
  inRoot((root, path) => {
    Deno.mkdirSync(`${path}/directory`);
    assert.ok(new Deno.Command("mkfifo", { args: [`${path}/fifo`] }).outputSync().success);
    for (const name of ["/fifo", "/directory", "/"]) {
      assert.throws(() => readInRoot(root, name, 100), (error) => {
        assert.ok(error instanceof CrateError && error.code === "INVALID");
        assert.equal(error.message, `${name} in the root filesystem is not a regular file`);
        return true;
      });
    }
    const host = open("/", O_PATH | O_DIRECTORY);
    try {
      assert.throws(() => readInRoot(host, "/dev/zero", 100), /is not a regular file/);
    } finally {
      close(host);
    }
  }));

Deno.test("a file longer than it may be is refused, one just as long is not", () =>
  inRoot((root, path) => {
    Deno.writeTextFileSync(`${path}/file`, "x".repeat(20000));
    assert.equal(readInRoot(root, "/file", 20000)?.length, 20000);
    assert.throws(
      () => readInRoot(root, "/file", 19999),
      /^CrateError: \/file in the root filesystem has more than 19999 bytes$/,
    );
  }));

Deno.test("bytes that are not UTF-8 are read as such", () =>
  inRoot((root, path) => {
    Deno.writeFileSync(`${path}/file`, new Uint8Array([0x61, 0xff, 0x62]));
    assert.equal(readInRoot(root, "/file", 3), "a\ufffdb");
  }));

Deno.test("no descriptor is left open, whatever came of it", () =>
  inRoot((root, path) => {
    Deno.writeTextFileSync(`${path}/file`, "text");
    Deno.mkdirSync(`${path}/directory`);
    const before = descriptors();
    for (let i = 0; i < 20; i++) {
      readInRoot(root, "/file", 10);
      readInRoot(root, "/nothing", 10);
      assert.throws(() => readInRoot(root, "/file", 2));
      assert.throws(() => readInRoot(root, "/directory", 10));
    }
    assert.equal(descriptors(), before);
  }));
