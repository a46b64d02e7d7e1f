import assert from "node:assert/strict";
import { AT_FDCWD, mkdirAll, O_DIRECTORY, syscall } from "../../../ffi/mod.ts";
import { removeTree } from "./remove_tree.ts";

function test(name: string, act: (directory: string) => void): void {
  Deno.test(name, () => {
    const directory = Deno.makeTempDirSync();
    try {
      act(directory);
      assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["outside"]);
      assert.equal(Deno.readTextFileSync(`${directory}/outside/file`), "stays");
    } finally {
      new Deno.Command("rm", { args: ["-rf", directory] }).outputSync();
    }
  });
}

function outside(directory: string): void {
  mkdirAll(`${directory}/outside`);
  Deno.writeTextFileSync(`${directory}/outside/file`, "stays");
}

test("a tree goes, and nothing that its links lead to", (directory) => {
  outside(directory);
  const tree = `${directory}/tree`;
  mkdirAll(`${tree}/a/b/c`);
  Deno.writeTextFileSync(`${tree}/a/b/file`, "");
  for (const at of ["", "/a", "/a/b"]) {
    Deno.symlinkSync(`${directory}/outside`, `${tree}${at}/link`);
    Deno.linkSync(`${directory}/outside/file`, `${tree}${at}/hard`);
  }
  removeTree(tree);
  removeTree(`${directory}/nothing`);
  Deno.writeTextFileSync(`${directory}/plain`, "");
  removeTree(`${directory}/plain`);
  Deno.symlinkSync("outside", `${directory}/link`);
  removeTree(`${directory}/link`);
});

test("a tree deeper than any path, and wider than one reading, goes", (directory) => {
  outside(directory);
  const tree = `${directory}/tree`;
  mkdirAll(tree);
  let fd = syscall("openat", AT_FDCWD, tree, O_DIRECTORY, 0);
  for (let depth = 0; depth < 3000; depth++) {
    syscall("mkdirat", fd, "deep", 0o755);
    const next = syscall("openat", fd, "deep", O_DIRECTORY, 0);
    syscall("close", fd);
    fd = next;
  }
  syscall("close", fd);
  mkdirAll(`${tree}/wide`);
  for (let i = 0; i < 3000; i++) Deno.writeTextFileSync(`${tree}/wide/a-long-name-of-${i}`, "");
  for (let i = 0; i < 300; i++) mkdirAll(`${tree}/wide/directory-${i}/inner`);
  removeTree(tree);
});

test("names of any bytes, and directories without any rights, go", (directory) => {
  outside(directory);
  const tree = `${directory}/tree`;
  mkdirAll(`${tree}/closed/inner/file`);
  const fd = syscall("openat", AT_FDCWD, tree, O_DIRECTORY, 0);
  for (const name of [[0xff, 0xfe], [0x2e, 0x2e, 0x2e], [0x0a], [0xc3]]) {
    syscall("mkdirat", fd, Uint8Array.from([...name, 0]), 0o000);
    syscall("symlinkat", "outside", fd, Uint8Array.from([...name, 0x6c, 0]));
  }
  syscall("close", fd);
  for (const path of ["/closed/inner/file", "/closed/inner", "/closed", ""]) {
    Deno.chmodSync(tree + path, 0o000);
  }
  removeTree(tree);
});
