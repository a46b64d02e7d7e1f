import assert from "node:assert/strict";
import fc from "fast-check";
import { O_CLOEXEC, O_CREAT, O_RDONLY, O_RDWR } from "./constants.ts";
import { SyscallError } from "./errno.ts";
import * as files from "./files.ts";
import { runProgramAsync, syscall } from "./libc.ts";
import { ProgramBuilder } from "./program/builder.ts";

/** A test in a directory of its own. */
function test(name: string, body: (directory: string) => void | Promise<void>): void {
  Deno.test(name, async () => {
    const directory = await Deno.makeTempDir();
    try {
      await body(directory);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

/** What a call must fail with. */
function fails(call: () => unknown, code: string, path?: string): void {
  assert.throws(call, (error) => {
    assert(error instanceof SyscallError, `${error}`);
    assert.equal(error.code, code);
    if (path !== undefined) assert.equal(error.path, path);
    return true;
  });
}

/** The open descriptors of what these paths name. */
function openOn(...paths: string[]): string[] {
  const links = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      return ""; // the descriptor of this very reading
    }
  });
  return links.filter((link) => paths.some((path) => link.startsWith(path)));
}

test("what is opened is close-on-exec, and what is closed is closed", (directory) => {
  const fd = files.open(`${directory}/file`, O_RDWR | O_CREAT, 0o640);
  const flags = parseInt(
    /^flags:\s+(\d+)$/m.exec(Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`))![1]!,
    8,
  );
  assert.equal(flags & O_CLOEXEC, O_CLOEXEC);
  assert.equal(Deno.statSync(`${directory}/file`).mode! & 0o777, 0o640 & ~Deno.umask());
  files.close(fd);
  fails(() => files.close(fd), "EBADF");
  fails(() => files.open(`${directory}/none`, O_RDONLY), "ENOENT", `${directory}/none`);
});

test("directories are made and removed", (directory) => {
  const path = `${directory}/one`;
  files.mkdir(path, 0o700);
  assert.equal(Deno.statSync(path).mode! & 0o777, 0o700);
  fails(() => files.mkdir(path), "EEXIST", path);
  fails(() => files.mkdir(`${directory}/two/three`), "ENOENT");
  files.mkdir(`${path}/below`);
  fails(() => files.rmdir(path), "ENOTEMPTY", path);
  files.rmdir(`${path}/below`);
  files.rmdir(path);
  assert.equal(files.exists(path), false);
});

test("mkdirAll makes what is missing and leaves what is there", (directory) => {
  const path = `${directory}/a/b/c`;
  files.mkdirAll(path, 0o711);
  for (const made of ["a", "a/b", "a/b/c"]) {
    assert.equal(Deno.statSync(`${directory}/${made}`).mode! & 0o777, 0o711);
  }
  files.mkdirAll(path, 0o700);
  assert.equal(Deno.statSync(path).mode! & 0o777, 0o711);
  files.mkdirAll(`${directory}/x/y/`);
  assert(files.exists(`${directory}/x/y`));
  Deno.symlinkSync(path, `${directory}/link`);
  files.mkdirAll(`${directory}/link/d`);
  assert(files.exists(`${path}/d`));
  files.replaceFile(`${directory}/file`, "");
  fails(() => files.mkdirAll(`${directory}/file/d`), "ENOTDIR", `${directory}/file/d`);
});

test("exists follows links, and a link to nowhere is nothing", (directory) => {
  Deno.symlinkSync("/nowhere", `${directory}/link`);
  assert.equal(files.exists(`${directory}/link`), false);
  assert.equal(files.exists(directory), true);
  files.unlink(`${directory}/link`);
  fails(() => files.unlink(`${directory}/link`), "ENOENT", `${directory}/link`);
  fails(() => files.unlink(directory), "EISDIR", directory);
});

test("a file of any size is written and read whole", (directory) => {
  const path = `${directory}/file`;
  const sizes = [0, 1, 8191, 8192, 8193, (1 << 19) - 1, 1 << 19, (1 << 19) + 8193, 3_000_000];
  for (const size of sizes) {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i += 97) bytes[i] = i;
    files.replaceFile(path, bytes);
    assert.deepEqual(files.readFile(path), bytes, `${size} bytes`);
    files.unlink(path);
    files.createFile(path, bytes);
    assert.equal(Deno.statSync(path).size, size);
  }
});

test("reading stops at the bytes that are asked for", (directory) => {
  const path = `${directory}/file`;
  const bytes = new Uint8Array(100_000).map((_, i) => i);
  files.replaceFile(path, bytes);
  fc.assert(
    fc.property(fc.nat(120_000), (max) => {
      assert.deepEqual(files.readFile(path, max), bytes.subarray(0, max));
    }),
    { numRuns: 40, examples: [[0], [8192], [8193], [99_999], [100_000]] },
  );
});

test("readAll reads what comes in pieces, to the end", async () => {
  const pipe = new Int32Array(2);
  syscall("pipe2", new Uint8Array(pipe.buffer), O_CLOEXEC);
  const [readEnd, writeEnd] = [...pipe] as [number, number];
  // Another thread writes, since a pipe holds less than this.
  const p = new ProgramBuilder();
  const back = p.label("back");
  const sizes = [1, 8192, 3, 70_000, 9000];
  for (const size of sizes) {
    p.call("write", [writeEnd, p.bytes(new Uint8Array(size).fill(size)), size], { negative: back });
  }
  p.place(back);
  p.call("close", [writeEnd], { negative: back });
  p.return();
  const writer = runProgramAsync(p.build());
  const got = files.readAll(readEnd);
  await writer;
  files.close(readEnd);
  const expected = sizes.flatMap((size) => Array<number>(size).fill(size & 0xff));
  assert.deepEqual(got, Uint8Array.from(expected));
});

test("text is UTF-8 both ways", (directory) => {
  const path = `${directory}/file`;
  files.replaceFile(path, "für 日本 👍\n");
  assert.equal(files.readText(path), "für 日本 👍\n");
  assert.equal(Deno.readTextFileSync(path), "für 日本 👍\n");
});

test("writeFile writes what is there and makes nothing", (directory) => {
  const path = `${directory}/file`;
  fails(() => files.writeFile(path, "x"), "ENOENT", path);
  files.createFile(path, "before");
  files.writeFile(path, "af");
  assert.equal(files.readText(path), "affore", "not truncated, as a cgroup file is not");
  fails(
    () => files.writeFile("/proc/self/oom_score_adj", "loud"),
    "EINVAL",
    "/proc/self/oom_score_adj",
  );
});

test("createFile keeps what is there", (directory) => {
  const path = `${directory}/file`;
  files.createFile(path, "first", 0o600);
  assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
  fails(() => files.createFile(path, "second"), "EEXIST", path);
  assert.equal(files.readText(path), "first");
});

test("replaceFile replaces a file for those who read meanwhile, old or new and whole", async (directory) => {
  const path = `${directory}/file`;
  files.replaceFile(path, "a".repeat(50_000), 0o600);
  assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
  const code = `const seen = new Set();
    self.onmessage = () => { self.postMessage([...seen].join(" ")); self.close(); };
    const look = () => {
      const text = Deno.readTextFileSync(${JSON.stringify(path)});
      seen.add(text[0] + text.length + /^(.)\\1*$/.test(text));
      setTimeout(look, 0);
    };
    look();
    self.postMessage("ready");`;
  const url = `data:text/javascript,${encodeURIComponent(code)}`;
  const worker = new Worker(url, { type: "module" });
  const answer = () =>
    new Promise<string>((resolve) => worker.onmessage = ({ data }) => resolve(data));
  await answer();
  for (let i = 0; i < 300; i++) {
    files.replaceFile(path, i % 2 ? "a".repeat(50_000) : "b".repeat(90_000));
    if (i % 30 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
  }
  const last = answer();
  worker.postMessage("tell");
  for (const seen of (await last).split(" ")) assert.match(seen, /^(a50000|b90000)true$/);
  assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["file"]);
});

test("a directory of many and long names is read whole", (directory) => {
  const names = Array.from({ length: 700 }, (_, i) => `${i}-${"ü".repeat(i % 120)}`);
  for (const name of names) files.createFile(`${directory}/${name}`, "");
  assert.deepEqual(files.readDirectory(directory).sort(), names.sort());
});

test("a directory has all kinds of entries, and an empty one none", (directory) => {
  assert.deepEqual(files.readDirectory(directory), []);
  files.mkdir(`${directory}/.hidden`);
  files.mkdir(`${directory}/...`);
  Deno.symlinkSync("/nowhere", `${directory}/link`);
  assert.deepEqual(files.readDirectory(directory).sort(), ["...", ".hidden", "link"]);
  fails(() => files.readDirectory(`${directory}/link`), "ENOENT");
  fails(() => files.readDirectory("/dev/null"), "ENOTDIR", "/dev/null");
});

test("nothing stays open, whatever fails", (directory) => {
  fails(() => files.readFile(directory), "EISDIR", directory);
  fails(() => files.writeFile("/proc/self/oom_score_adj", "loud"), "EINVAL");
  fails(() => files.replaceFile("/dev/full/x", ""), "ENOTDIR");
  files.replaceFile(`${directory}/x`, "y");
  files.readText(`${directory}/x`);
  files.readDirectory(directory);
  const fd = files.open(directory, O_RDONLY);
  assert.deepEqual(openOn(directory, "/proc/self/oom", `/proc/${Deno.pid}/oom`), [directory]);
  files.close(fd);
});

test("a full disk is told, and nothing takes the file's place", (directory) => {
  Deno.symlinkSync("/dev/full", `${directory}/file.new`);
  files.createFile(`${directory}/file`, "old");
  fails(() => files.replaceFile(`${directory}/file`, "new"), "ENOSPC", `${directory}/file.new`);
  assert.equal(files.readText(`${directory}/file`), "old");
});
