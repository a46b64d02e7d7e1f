// The installer, into folders of the test's own.
import assert from "node:assert/strict";

const script = new URL("install", import.meta.url).pathname;

function run(file: string, args: string[], options: Partial<Deno.CommandOptions> = {}) {
  const words = ["-c", 'umask 077 && exec "$@"', "sh", file, ...args];
  const command = new Deno.Command("/bin/sh", { args: words, stdin: "null", ...options });
  const { code, stdout, stderr } = command.outputSync();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test("crate is installed below a prefix, needs no checkout, no PATH and no other Deno, and once more is the same", () => {
  const prefix = Deno.makeTempDirSync({ prefix: "it's a crate-" });
  try {
    for (const _ of ["first", "again"]) {
      const installed = run(script, [prefix]);
      assert.deepEqual(installed, { code: 0, out: `${prefix}/bin/crate`, err: "" });
    }
    // Whoever may enter the prefix may use it.
    for (const path of ["bin/crate", "lib/crate", "lib/crate/bundle/current"]) {
      assert((Deno.statSync(`${prefix}/${path}`).mode! & 0o004) !== 0, path);
    }
    assert.deepEqual([...Deno.readDirSync(`${prefix}/bin`)].map(({ name }) => name), ["crate"]);
    const alone = { cwd: "/", clearEnv: true, env: { HOME: prefix } };
    const version = run(`${prefix}/bin/crate`, ["version"], alone);
    assert.match(version.out, /^crate \d+\.\d+\.\d+$/);
    // Words reach it as they are.
    const refused = run(`${prefix}/bin/crate`, ["version", "two words"], alone);
    assert.equal(refused.code, 2);
    assert.match(refused.err, /"?two words"?/);
    // A directory that is gone is no directory, and crate runs in it as anything else does.
    const gone = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"';
    const words = ["-c", gone, `${prefix}/bin/crate`];
    const there = run("/bin/sh", [...words, "version"], { cwd: prefix });
    assert.deepEqual([there.code, there.out], [0, version.out]);
    const relative = run("/bin/sh", [...words, "run", "-r", "etc", "true"], { cwd: prefix });
    assert.equal(relative.code, 125);
    assert.match(relative.err, /etc.* does not exist|no such/);
    assert.doesNotMatch(
      Deno.readTextFileSync(`${prefix}/bin/crate`),
      new RegExp(RegExp.escape(new URL("..", import.meta.url).pathname)),
    );
  } finally {
    Deno.removeSync(prefix, { recursive: true });
  }
});

Deno.test("a folder that cannot be written is named, and so is how to call the installer", () => {
  const file = Deno.makeTempFileSync();
  try {
    assert.deepEqual(run(script, [`${file}/below`]), {
      code: 1,
      out: "",
      err:
        `crate: ${file}/below cannot be written: name another folder, as in scripts/install ~/.local`,
    });
    assert.deepEqual(run(script, ["/tmp", "more"]), {
      code: 2,
      out: "",
      err: "crate: usage: scripts/install [PREFIX]",
    });
  } finally {
    Deno.removeSync(file);
  }
});
