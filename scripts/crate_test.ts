// The launcher, in a checkout of its own with a program of a few lines.
import assert from "node:assert/strict";

const root = new URL("..", import.meta.url).pathname;
const PROGRAM = `import { counter, word } from "./lib/word.ts";
const commands: Record<string, () => unknown> = {
  version: () => console.log(word),
  lazy: async () => console.log((await import("./lib/lazy.ts")).lazy()),
  large: async () => console.log((await import("./lib/large.ts")).isSame(counter)),
  fail: () => {
    throw new Error("failed");
  },
  echo: () => Deno.stdin.readable.pipeTo(Deno.stdout.writable),
  pid: () => console.log(Deno.pid),
  main: () => console.log(Deno.mainModule),
  wait: () => setInterval(() => {}, 1000),
};
function other(): never {
  console.log(JSON.stringify(Deno.args), Deno.cwd());
  Deno.exit(7);
}
if (import.meta.main) (commands[Deno.args[0] ?? ""] ?? other)();
`;

const WORD = 'export const word: string = "one";\nexport const counter = {};\n';
const LARGE = `import { counter } from "./word.ts";
export const isSame = (other: unknown) => other === counter && text.length;
const text: string = "${"x".repeat(20_000)}";
`;

interface Checkout {
  readonly path: string;
  write(file: string, text: string): void;
  run(args: string[], options?: Partial<Deno.CommandOptions>): Promise<Ran>;
}
interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function checkout(use: (checkout: Checkout) => Promise<void>): Promise<void> {
  const path = Deno.makeTempDirSync({ prefix: "crate launcher-" });
  const write = (file: string, text: string) => Deno.writeTextFileSync(`${path}/${file}`, text);
  try {
    for (const folder of ["scripts/lib", "lib"]) {
      Deno.mkdirSync(`${path}/${folder}`, { recursive: true });
    }
    const scripts = [
      "scripts/crate",
      "scripts/setup.sh",
      "scripts/verbs.sh",
      "scripts/bundle.ts",
      "scripts/lib/groups.ts",
      "scripts/lib/narrow.ts",
    ];
    for (const file of [...scripts, "deno.json", "deno.lock"]) {
      Deno.copyFileSync(root + file, `${path}/${file}`);
    }
    write("cli.ts", PROGRAM);
    write("lib/word.ts", WORD);
    write("lib/large.ts", LARGE);
    write("lib/lazy.ts", 'export const lazy = (): string => "lazy";\n');
    const run = async (args: string[], options: Partial<Deno.CommandOptions> = {}) => {
      const command = new Deno.Command(`${path}/scripts/crate`, {
        args,
        stdin: "null",
        ...options,
        env: { PATH: `${folderOf(Deno.execPath())}:/usr/bin:/bin`, ...options.env },
      });
      const { code, stdout, stderr } = await command.output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
      return { code, out: text(stdout), err: text(stderr) };
    };
    await use({ path, write, run });
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/"));
const ran = (out: string, code = 0): Ran => ({ code, out, err: "" });

Deno.test("the launcher passes words, folder, exit code and standard input through", () =>
  checkout(async ({ path, run }) => {
    for (const words of [["a b", "", "*", "$HOME"], ["-A"], ["--", "--help"]]) {
      assert.deepEqual(await run(words, { cwd: "/usr" }), ran(`${JSON.stringify(words)} /usr`, 7));
    }
    const child = new Deno.Command(`${path}/scripts/crate`, {
      args: ["echo"],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("hello"));
    await writer.close();
    assert.equal(await child.stdout.text(), "hello");
    assert.equal((await child.status).code, 0);
  }));

Deno.test("the launcher becomes Deno: the same process, ended by the same signal", () =>
  checkout(async ({ path, run }) => {
    assert.equal((await run(["version"])).out, "one");
    const start = (word: string) =>
      new Deno.Command(`${path}/scripts/crate`, { args: [word], stdout: "piped" }).spawn();
    const child = start("pid");
    assert.equal((await child.stdout.text()).trim(), String(child.pid));
    await child.status;
    const waiting = start("wait");
    waiting.kill("SIGTERM");
    await waiting.stdout.cancel();
    assert.equal((await waiting.status).signal, "SIGTERM");
  }));

Deno.test("in a bundle each module is there once, and an error tells its line in the sources", () =>
  checkout(async ({ path, run }) => {
    assert.deepEqual(await run(["large"]), ran("20000"));
    const files = [...Deno.readDirSync(`${path}/.cache/bundle`)].find((entry) => entry.isDirectory);
    const scripts = [...Deno.readDirSync(`${path}/.cache/bundle/${files!.name}`)]
      .map(({ name }) => name).filter((name) => name.endsWith(".js")).sort();
    assert.match(scripts.join(" "), /^cli.js large-\w+.js lazy-\w+.js$/);
    const { code, err } = await run(["fail"], { env: { NO_COLOR: "1" } });
    assert.equal(code, 1);
    const line = PROGRAM.split("\n").findIndex((line) => line.includes('Error("failed")')) + 1;
    assert(err.includes(`(file://${path}/cli.ts:${line}:`), err);
  }));

Deno.test("a bundle runs, until a source is changed, added or removed", () =>
  checkout(async ({ path, write, run }) => {
    const bundle = async () => (await run(["main"])).out;
    const first = await bundle();
    assert.match(first, /\/\.cache\/bundle\/[0-9a-f]{16}\/cli\.js$/);
    const made = () => Deno.statSync(`${path}/.cache/bundle/current`).mtime!.getTime();
    const before = made();
    assert.equal(await bundle(), first);
    assert.equal(made(), before);
    write("lib/word.ts", WORD.replace("one", "two"));
    assert.deepEqual(await run(["version"]), ran("two"));
    assert.notEqual(await bundle(), first);
    // A module that is removed is missed, although nothing that is left is newer.
    write("cli.ts", 'import { other } from "./lib/other.ts";\nconsole.log(other);\n');
    write("lib/other.ts", 'export const other: string = "three";\n');
    assert.deepEqual(await run([]), ran("three"));
    Deno.removeSync(`${path}/lib/other.ts`);
    assert.equal((await run([])).code, 1);
  }));

Deno.test("a program with an error is not bundled, says so, and works again when it is mended", () =>
  checkout(async ({ write, run }) => {
    write("cli.ts", "let let = 1;\n");
    const { code, err } = await run(["version"]);
    assert.equal(code, 1);
    assert.match(err, /the bundle could not be made/);
    write("cli.ts", PROGRAM);
    assert.deepEqual(await run(["version"]), ran("one"));
  }));

Deno.test("many first runs at once make one bundle", () =>
  checkout(async ({ path, run }) => {
    const all = await Promise.all(Array.from({ length: 30 }, () => run(["lazy"])));
    assert.deepEqual(all, Array.from({ length: 30 }, () => ran("lazy")));
    const names = [...Deno.readDirSync(`${path}/.cache/bundle`)].map((entry) => entry.name);
    assert.deepEqual(names.filter((name) => name !== "current").length, 1, names.join(" "));
  }));

Deno.test("a link to the launcher is the launcher", () =>
  checkout(async ({ path, run }) => {
    assert.equal((await run(["version"])).out, "one");
    Deno.symlinkSync("scripts/crate", `${path}/link`);
    const { stdout } = await new Deno.Command(`${path}/link`, { args: ["version"] }).output();
    assert.equal(new TextDecoder().decode(stdout).trim(), "one");
  }));

Deno.test("without a place to keep a bundle the sources run", {
  // To root every folder can be written.
  ignore: Deno.uid() === 0 && !mayUnshare(),
}, () =>
  checkout(async ({ path, run }) => {
    // Deno's own cache stays where it is, or the bundler would be downloaded again.
    const info = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
    const DENO_DIR: string = JSON.parse(new TextDecoder().decode(info.stdout)).denoDir;
    const script =
      `mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && "$0/scripts/crate" main`;
    const command = new Deno.Command("unshare", {
      args: ["-m", "sh", "-c", script, path],
      env: { HOME: `${path}/home`, XDG_CACHE_HOME: "", DENO_DIR },
    });
    const { stdout, stderr } = await command.output();
    const out = new TextDecoder().decode(stdout).trim();
    assert.equal(out, `file://${encodeURI(path)}/cli.ts`, new TextDecoder().decode(stderr));
    // A user's own folder is the next best place.
    const home = Deno.makeTempDirSync();
    try {
      const personal = new Deno.Command("unshare", {
        args: ["-m", "sh", "-c", script, path],
        env: { HOME: home, XDG_CACHE_HOME: "", DENO_DIR },
      });
      const text = new TextDecoder().decode((await personal.output()).stdout).trim();
      assert.match(decodeURI(text), new RegExp(`^file://${home}/.cache/crate${path}/bundle/`));
    } finally {
      Deno.removeSync(home, { recursive: true });
    }
    assert.equal((await run(["version"])).out, "one");
  }));

Deno.test("no Deno and nothing to install it with is one sentence and 125", () =>
  checkout(async ({ path }) => {
    const bin = `${path}/bin`;
    Deno.mkdirSync(bin);
    for (const name of "sh dirname readlink sort head grep mkdir rm ln mv uname tail".split(" ")) {
      Deno.symlinkSync(`/usr/bin/${name}`, `${bin}/${name}`);
    }
    const command = new Deno.Command(`${path}/scripts/crate`, {
      args: ["version"],
      clearEnv: true,
      env: { PATH: bin },
    });
    const { code, stdout, stderr } = await command.output();
    assert.deepEqual([code, stdout.length], [125, 0]);
    assert.match(
      new TextDecoder().decode(stderr),
      /^crate: Deno [\d.]+ or newer is not on PATH.*\n$/,
    );
  }));

function mayUnshare(): boolean {
  return new Deno.Command("unshare", { args: ["-m", "true"] }).outputSync().success;
}
