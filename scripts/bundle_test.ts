import assert from "node:assert/strict";
import { COMMANDS } from "./bundle.ts";

Deno.test("the program can be bundled: else every start would run the sources, and be slow", async () => {
  const cache = Deno.makeTempDirSync({ prefix: "crate-bundle-" });
  try {
    const root = new URL("..", import.meta.url).pathname;
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", `${root}scripts/bundle.ts`, root, cache],
      stdout: "null",
      stderr: "piped",
    }).output();
    assert.deepEqual([success, new TextDecoder().decode(stderr)], [true, ""]);
    assert.match(Deno.readTextFileSync(`${cache}/bundle/current`), /^bundle='[0-9a-f]{16}'$/m);
  } finally {
    Deno.removeSync(cache, { recursive: true });
  }
});

Deno.test("what shall start fastest is there", () => {
  const root = new URL("..", import.meta.url).pathname;
  for (const source of COMMANDS.flat()) assert(Deno.statSync(root + source).isFile);
});
