// What the documents say is so: their examples run, their tables are whole, their links lead somewhere.
import assert from "node:assert/strict";
import { LIBC_PATHS } from "../ffi/mod.ts";
import { VERSION } from "../lib/cli/version.ts";
import { commandLine } from "../lib/cli/words/mod.ts";
import { loadConfig } from "../lib/config/mod.ts";

const root = new URL("..", import.meta.url).pathname;
const read = (path: string) => Deno.readTextFileSync(root + path);
const readme = read("README.md");
const manifest: { version: string; tasks: Record<string, string>; imports: object } = JSON.parse(
  read("deno.json"),
);
const isRoot = Deno.uid() === 0;

/** The blocks of code in a text that are in this language; of a comment without its stars. */
function blocks(text: string, language: string): string[] {
  const pattern = new RegExp(`^([ *]*)\`\`\`${language}\n([^]*?)^[ *]*\`\`\`$`, "gm");
  return [...text.matchAll(pattern)].map(([, prefix, code]) =>
    code!.split("\n").map((line) =>
      line.startsWith(prefix!) ? line.slice(prefix!.length) : line.replace(/^[ *]*/, "")
    ).join("\n")
  );
}

function sources(folder: string): string[] {
  return [...Deno.readDirSync(root + folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return sources(path);
    return name.endsWith(".ts") && !/^_|_test\.ts$/.test(name) ? [path] : [];
  });
}

async function deno(words: readonly string[], command: readonly string[] = [Deno.execPath()]) {
  const [program, ...args] = [...command, ...words];
  const env = { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
  const ended = await new Deno.Command(program!, { args, env, cwd: root, stdin: "null" }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: ended.code, stdout: text(ended.stdout), stderr: text(ended.stderr) };
}

/** The examples in the docs of a source file that run, each as a module that may stand anywhere. */
function examplesOf(path: string): string[] {
  const folder = new URL(path.slice(0, path.lastIndexOf("/") + 1), `file://${root}`);
  return blocks(read(path), "ts").map((code) =>
    code.replace(/ from "(\.{1,2}\/[^"]+)"/g, (_, to) => ` from "${new URL(to, folder)}"`)
  );
}

/** Writes examples as files, with this checkout for the published package. */
async function withExamples(
  examples: readonly string[],
  use: (files: string[], options: string[]) => Promise<void>,
): Promise<void> {
  assert.ok(examples.length > 0);
  const directory = Deno.makeTempDirSync();
  try {
    const files = examples.map((code, i) => {
      const file = `${directory}/example_${i}.ts`;
      Deno.writeTextFileSync(file, code);
      return file;
    });
    const map = `${directory}/map.json`;
    const imports = {
      ...manifest.imports,
      "jsr:@crate/cli": `file://${root}mod.ts`,
      "jsr:@crate/cli/netlink": `file://${root}lib/netlink/mod.ts`,
      "jsr:@crate/cli/nftables": `file://${root}lib/netlink/nftables/mod.ts`,
    };
    Deno.writeTextFileSync(map, JSON.stringify({ imports }));
    await use(files, ["--config", `${root}deno.json`, "--import-map", map]);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("deno.json, the command and the changelog have the same version", () => {
  assert.equal(manifest.version, VERSION);
  assert.match(
    read("CHANGELOG.md"),
    new RegExp(`^## \\[${VERSION.replaceAll(".", "\\.")}\\]`, "m"),
  );
});

Deno.test("the examples of the README and of the library's docs have the right types", async () => {
  const inside = [...sources("lib"), ...sources("ffi")];
  const documented = ["mod.ts", ...inside].flatMap((path) => blocks(read(path), "ts ignore"));
  assert.ok(documented.length > 0, "mod.ts has an example");
  const all = [...blocks(readme, "ts"), ...documented, ...inside.flatMap(examplesOf)];
  await withExamples(all, async (files, options) => {
    const { code, stderr } = await deno(["check", "--quiet", ...options, ...files]);
    assert.equal(code, 0, stderr);
  });
});

Deno.test({
  name: "the README's examples run, with no permission but libc",
  ignore: !isRoot,
  async fn() {
    await withExamples(blocks(readme, "ts"), async (files, options) => {
      // In a mount namespace with a /run of its own: the state of other containers stays out of it.
      const script = 'mount -t tmpfs tmpfs /run && exec "$@"';
      const apart = ["unshare", "--mount", "sh", "-c", script, "sh", Deno.execPath()];
      const flags = ["--no-prompt", `--allow-ffi=${LIBC_PATHS.join(",")}`];
      let printed = "";
      for (const file of files) {
        const words = ["run", "--quiet", ...flags, ...options, file];
        const { code, stdout, stderr } = await deno(words, apart);
        assert.deepEqual([code, stderr], [0, ""]);
        printed += stdout;
      }
      assert.match(printed, /^0 hello\n/);
      assert.match(printed, /^[0-9a-f]{12} says .*\d{2}:\d{2}:\d{2}/m);
      assert.match(printed, /^COMMAND_NOT_FOUND$/m);
    });
  },
});

Deno.test({
  name: "the examples in the code's docs run",
  ignore: !isRoot,
  async fn() {
    const examples = [...sources("lib"), ...sources("ffi")].flatMap((path) =>
      examplesOf(path).map((code) => ({ path, code }))
    );
    await withExamples(examples.map(({ code }) => code), async (files, options) => {
      // In one runtime: with `--doc` each has one of its own, which takes a minute in all.
      const tests = files.map((file, i) =>
        `Deno.test("${examples[i]!.path} ${i}", async () => { await import("${file}"); });`
      );
      const all = `${files[0]!.slice(0, files[0]!.lastIndexOf("/"))}/all_test.ts`;
      Deno.writeTextFileSync(all, tests.join("\n"));
      const words = ["test", "-A", "--no-check", "--quiet", ...options, all];
      const { code, stdout, stderr } = await deno(words);
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, new RegExp(`^ok \\| ${examples.length} passed`, "m"));
    });
  },
});

Deno.test("the README's table of keys is the configuration's", async () => {
  const config = await loadConfig({ env: {}, systemFile: "/nonexistent" });
  const [table] = readme.match(/^\| key \|[^]*?\n\n/m)!;
  const rows = [...table.matchAll(/^\| `([a-z_.]+)` \| (?:`([^`]*)`)?/gm)];
  assert.deepEqual(rows.map(([, key]) => key), Object.keys(config));
  for (const [, key, value] of rows) {
    const known = Object.entries(config).find(([name]) => name === key)![1].value;
    if (value === undefined) assert.equal(known, undefined, key);
    else {assert.equal(
        value,
        typeof known === "object" ? JSON.stringify(known) : String(known),
        key,
      );}
  }
});

Deno.test("every command, and nothing else, is shown with its name", () => {
  const names = new Set(
    commandLine.commands.flatMap(({ name, aliases = [] }) => [name, ...aliases]),
  );
  const called = [...readme.matchAll(/^# (?:\S+=\S+ )?(?:timeout \d+ )?crate ([^\n]*)/gm)]
    .map(([, line]) => line!.replace(/^(--\S+ \S+ )*/, "").split(" ")[0]!);
  assert.ok(called.length > 10);
  const groups = new Set(commandLine.groups?.map(({ name }) => name));
  assert.deepEqual(called.filter((name) => !names.has(name) && !groups.has(name)), []);
  for (const { name } of commandLine.commands) assert.ok(readme.includes(`\`${name}\``), name);
});

Deno.test("links, files and tasks that the documents name are there", () => {
  for (const document of ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]) {
    const text = read(document);
    for (const [, target] of text.matchAll(/\]\(([^)#:]+)\)/g)) Deno.statSync(root + target);
    for (const [, path] of text.matchAll(/`((?:lib|ffi|tests|scripts)\/[\w./-]*\w)`/g)) {
      Deno.statSync(root + path);
    }
    for (const [, task] of text.matchAll(/deno task (\w+)/g)) {
      assert.ok(task! in manifest.tasks, `${document}: deno task ${task}`);
    }
    const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading!.toLowerCase().replace(/[^\w -]/g, "").replaceAll(" ", "-")
    );
    const anchors = [...text.matchAll(/<a name="([^"]+)">/g)].map(([, name]) => name);
    for (const [, target] of text.matchAll(/\]\(#([^)]+)\)/g)) {
      assert.ok([...headings, ...anchors].includes(target!), `${document}: #${target}`);
    }
  }
});
