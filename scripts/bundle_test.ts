import assert from "node:assert/strict";
import { COMMANDS } from "./bundle.ts";

const root = new URL("..", import.meta.url).pathname;

/** Makes the bundle in a folder of its own, and tells the name that its content has. */
async function bundled(): Promise<string | undefined> {
  const cache = Deno.makeTempDirSync({ prefix: "crate-bundle-" });
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", `${root}scripts/bundle.ts`, root, cache],
      stdout: "null",
      stderr: "piped",
    }).output();
    assert.deepEqual([success, new TextDecoder().decode(stderr)], [true, ""]);
    const current = Deno.readTextFileSync(`${cache}/bundle/current`);
    return /^bundle='([0-9a-f]{16})'$/m.exec(current)?.[1];
  } finally {
    Deno.removeSync(cache, { recursive: true });
  }
}

Deno.test("the program can be bundled, wherever it is with the same result", async () => {
  const [first, second] = [await bundled(), await bundled()];
  assert(first !== undefined, "else every start would run the sources, and be slow");
  assert.equal(first, second);
});

Deno.test("what shall start fastest is there", () => {
  for (const source of COMMANDS.flat()) assert(Deno.statSync(root + source).isFile);
});
