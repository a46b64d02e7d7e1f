import assert from "node:assert/strict";
import { rootlessDefault } from "./rootless.ts";

Deno.test("a user's default network is pasta's, else slirp4netns', else none with one warning", () => {
  const directory = Deno.makeTempDirSync();
  const path = `relative:/nowhere:${directory}`;
  const warnings: string[] = [];
  const found = () => rootlessDefault(path, (message) => warnings.push(message));
  try {
    assert.equal(found(), "none");
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /pasta \(Debian's package: passt\)/);
    Deno.writeTextFileSync(`${directory}/slirp4netns`, "");
    // What cannot be executed is no program.
    assert.equal(found(), "none");
    Deno.chmodSync(`${directory}/slirp4netns`, 0o755);
    assert.equal(found(), "slirp4netns");
    Deno.writeTextFileSync(`${directory}/pasta`, "", { mode: 0o755 });
    assert.equal(found(), "pasta");
    assert.equal(warnings.length, 2);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
