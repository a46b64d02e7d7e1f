import assert from "node:assert/strict";
import { candidates } from "./execute.ts";

Deno.test("a name with a slash is that file and no other", () => {
  for (const name of ["/bin/sh", "./run", "bin/run", "../x"]) {
    assert.deepEqual(candidates(name, ["PATH=/a:/b"]), [name]);
  }
});

Deno.test("a plain name is looked for along the first PATH of the environment", () => {
  const env = ["HOME=/", "PATH=/opt/bin:/bin", "PATH=/other", "XPATH=/no"];
  assert.deepEqual(candidates("sh", env), ["/opt/bin/sh", "/bin/sh"]);
});

Deno.test("an empty part of PATH means the working directory, as execvp(3) has it", () => {
  assert.deepEqual(candidates("x", ["PATH=:/bin:"]), ["./x", "/bin/x", "./x"]);
  assert.deepEqual(candidates("x", ["PATH=bin"]), ["bin/x"]);
});

Deno.test("without a PATH the usual directories are searched", () => {
  const usual = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  for (const env of [[], ["PATH="], ["PATHS=/x"]]) {
    assert.deepEqual(candidates("sh", env), usual.map((directory) => `${directory}/sh`));
  }
});
