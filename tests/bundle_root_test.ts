// Not in the virtual machine: a bundle is another way to the same config
import assert from "node:assert/strict";
import { type Sandbox, test, until } from "./support/mod.ts";

// crate run --bundle, and crate spec.

interface Config {
  process: { args: string[]; terminal: boolean; env: string[] };
  root: { path: string };
  mounts: { destination: string; type: string; source: string; options: string[] }[];
  linux: Record<string, unknown>;
}

/** A bundle that `crate spec` has begun, changed by a test. */
async function makeBundle(box: Sandbox, change: (config: Config) => void): Promise<string> {
  const bundle = box.mkdir("bundle");
  await box.ok(["spec", "--bundle", bundle]);
  const config: Config = JSON.parse(Deno.readTextFileSync(`${bundle}/config.json`));
  assert.deepEqual([config.root.path, config.process.args], ["rootfs", ["sh"]]);
  config.process.terminal = false;
  change(config);
  Deno.writeTextFileSync(`${bundle}/config.json`, JSON.stringify(config));
  Deno.symlinkSync(box.rootfs, `${bundle}/rootfs`);
  return bundle;
}

test("a bundle runs as its config says, paths relative to it, by a name or none", async (box) => {
  const bundle = await makeBundle(box, (config) => {
    config.process.args = ["sh", "-c", "echo $GREETING; cat /data/file; exit 3"];
    config.process.env.push("GREETING=hello");
    config.mounts.push({
      destination: "/data",
      type: "bind",
      source: "data",
      options: ["bind", "ro"],
    });
  });
  Deno.mkdirSync(`${bundle}/data`);
  Deno.writeTextFileSync(`${bundle}/data/file`, "from the bundle\n");
  const { code, stdout, stderr } = await box.crate(["run", "--bundle", bundle, "--name", "mine"]);
  assert.deepEqual([code, stdout, stderr], [3, "hello\nfrom the bundle\n", ""]);
  const state = await box.state("mine");
  assert.deepEqual([state.status, state.bundle], ["stopped", bundle]);
  await box.ok(["delete", "mine"]);
  const id = await box.ok(["run", "-d", "-b", bundle, "--rm"]);
  assert.match(id, /^[0-9a-f]{12}$/);
  await until("its end", async () => (await box.ok(["list", "-q"])) === "");
});

test("what a bundle cannot be is one sentence", async (box) => {
  const bundle = await makeBundle(box, () => {});
  const text = Deno.readTextFileSync(`${bundle}/config.json`);
  const write = (change: (config: Record<string, unknown>) => void) => {
    const config = JSON.parse(text);
    change(config);
    Deno.writeTextFileSync(`${bundle}/config.json`, JSON.stringify(config));
  };
  const refused = async (words: string[], code: number, reason: RegExp) => {
    const result = await box.crate(["run", ...words]);
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, /^crate: [^\n]+\n$/);
    assert.match(result.stderr, reason);
    assert.equal(await box.ok(["list", "-q"]), "");
  };
  await refused(
    ["--bundle", box.path("none")],
    125,
    /--bundle .*none: config\.json cannot be read: ENOENT/,
  );
  await refused(
    ["-b", bundle, "-e", "A=1"],
    125,
    /--env is not for --bundle: its config\.json says all of that/,
  );
  await refused(["-b", bundle, "one", "two"], 2, /takes no command, got "two"/);
  await refused(["-b", bundle, "a/b"], 125, /a\/b/);
  write((config) => config.root = { path: "nothing" });
  await refused(
    ["-b", bundle],
    125,
    /config\.json: root\.path: there is no directory .*\/nothing$/m,
  );
  write((config) => config.process = { cwd: "tmp", args: ["sh"] });
  await refused(["-b", bundle], 125, /config\.json.* process\.cwd must be absolute, got "tmp"/);
  write((config) => config.hooks = { prestart: [{ path: "bin/true" }] });
  await refused(["-b", bundle], 125, /config\.json.* hooks\.prestart\[0\]\.path must be absolute/);
  Deno.writeTextFileSync(`${bundle}/config.json`, "{");
  await refused(["-b", bundle], 125, /config\.json/);
  const twice = await box.crate(["spec", "-b", bundle]);
  assert.deepEqual([
    twice.code,
    /config\.json is there already: remove it first/.test(twice.stderr),
  ], [125, true]);
});
