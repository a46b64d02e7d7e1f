import assert from "node:assert/strict";
import { treeSize } from "./tree_size.ts";

async function withDirectory(use: (path: string) => void | Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync();
  try {
    await use(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

const MIB = 1 << 20;

Deno.test("a tree's size is what du(1) says, for holes, links and any names too", () =>
  withDirectory(async (directory) => {
    Deno.mkdirSync(`${directory}/a/b/é\n`, { recursive: true });
    Deno.writeFileSync(`${directory}/a/b/é\n/file`, new Uint8Array(3 * MIB));
    Deno.linkSync(`${directory}/a/b/é\n/file`, `${directory}/again`);
    Deno.writeTextFileSync(`${directory}/sparse`, "");
    Deno.truncateSync(`${directory}/sparse`, 1 << 30);
    Deno.symlinkSync("/usr", `${directory}/usr`);
    Deno.symlinkSync(".", `${directory}/a/loop`);
    const size = treeSize(directory);
    assert.ok(size >= 3 * MIB && size < 4 * MIB, `${size}`);
    const { stdout } = await new Deno.Command("du", { args: ["-sB1", directory] }).output();
    const [said] = new TextDecoder().decode(stdout).split("\t");
    const top = await new Deno.Command("stat", { args: ["-c", "%b %B", directory] }).output();
    const [blocks, unit] = new TextDecoder().decode(top.stdout).split(" ").map(Number);
    assert.equal(size, Number(said) - blocks! * unit!, "all but the top itself");
  }));

Deno.test("a tree that is deeper than a path can say does not hinder", () =>
  withDirectory(async (directory) => {
    const script = `cd ${directory}; for i in $(seq 60); do mkdir ${"x".repeat(100)}
      cd ${"x".repeat(100)}; done`;
    await new Deno.Command("bash", { args: ["-c", script] }).output();
    treeSize(directory);
    await new Deno.Command("rm", { args: ["-rf", `${directory}/${"x".repeat(100)}`] }).output();
  }));
