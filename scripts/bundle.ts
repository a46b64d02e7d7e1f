/**
 * Makes crate into one bundle that starts fast, and says in a file that the shell can read where it
 * is and what it was made from: `deno run -A scripts/bundle.ts [CHECKOUT [CACHE]]`.
 *
 * Measured on 120 modules: 20 ms less at every start than running the sources.
 *
 * @module
 */
import { rmSync, statSync } from "node:fs";
import { dirname, relative } from "node:path/posix";
import { DatabaseSync } from "node:sqlite";
import { group } from "./lib/groups.ts";
import { narrower } from "./lib/narrow.ts";

const root = Deno.realPathSync(Deno.args[0] ?? new URL("..", import.meta.url).pathname);
const home = `${Deno.args[1] ?? `${root}/.cache`}/bundle`;

/** How V8 starts fast; as it is where a Deno does not know these. */
const V8_FLAGS = [
  // Room for all that a short command allocates: else V8 collects garbage twice, 5 ms each.
  "--min-semi-space-size=4",
  // Compiles every function when a file is loaded, and so into the code cache, which Deno fills then:
  // not one is left to be compiled when it is called, in every process anew.
  "--no-lazy",
  // Machine code is for what runs longer: compiling it, on other threads, takes the second processor
  // from the container that is being set up.
  "--baseline-batch-compilation-threshold=262144",
  "--invocation-count-for-maglev=4000",
  "--invocation-count-for-maglev-osr=1000",
  "--regexp-tier-up-ticks=50",
].join();

/** The bundle's file that is run. */
const PROGRAM = "cli.js";

const DAY = 24 * 60 * 60 * 1000;

/** Files and folders of the program, relative to the checkout, and when the newest was changed. */
function sources(): { names: string[]; newest: number } {
  const names: string[] = [];
  let newest = 0;
  const add = (name: string) => {
    const info = statSync(`${root}/${name}`, { throwIfNoEntry: false });
    if (info === undefined) return;
    names.push(name);
    newest = Math.max(newest, info.mtimeMs);
    if (!info.isDirectory()) return;
    for (const entry of Deno.readDirSync(`${root}/${name}`)) {
      const isSource = entry.name.endsWith(".ts") && !entry.name.endsWith("_test.ts");
      if (entry.isDirectory || isSource) add(`${name}/${entry.name}`);
    }
  };
  [
    "cli.ts",
    "mod.ts",
    "deno.json",
    "deno.lock",
    "lib",
    "ffi",
    "scripts/bundle.ts",
    "scripts/verbs.sh",
    "scripts/lib/groups.ts",
    "scripts/lib/narrow.ts",
  ].forEach(add);
  return { names, newest };
}

async function deno(
  args: string[],
  env: Record<string, string> = {},
  cwd?: string,
): Promise<void> {
  const command = new Deno.Command(Deno.execPath(), {
    args,
    ...cwd !== undefined && { cwd },
    env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  });
  const { success, stderr } = await command.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
}

/**
 * `deno bundle` of a program for Deno into a folder. The bundler tells paths from the one above: in its names and comments
 * is nothing of where that lies.
 */
async function bundleInto(folder: string, file: string, flags: readonly string[]): Promise<void> {
  const common = ["--quiet", "--platform", "deno", "--sourcemap", "linked", "--outdir", folder];
  await deno(["bundle", ...common, ...flags, file], {}, dirname(folder));
}

/** What starts fastest: the sources that each command loads beside the program, as soon as it is called or later. */
export const COMMANDS: readonly (readonly string[])[] = [
  ...["create", "exec", "run", "pull"].map((name) => [
    `lib/cli/commands/${name}.ts`,
  ]),
  ["lib/cli/commands/exec.ts", "lib/spec/read_process.ts"],
  ["lib/cli/commands/exec.ts", "lib/lifecycle/exec_verb.ts"],
  ["lib/cli/commands/exec.ts", "lib/cli/commands/environment.ts"],
  ["lib/cli/commands/pull.ts", "lib/image/unpack/unpack.ts"],
  ["lib/cli/commands/run.ts", "lib/cli/commands/run_network.ts", "lib/network/mod.ts"],
  ...["list", "logs", "stop"].map((name) => [
    `lib/cli/commands/${name}.ts`,
    "lib/cli/words/commands.ts",
  ]),
];

const isThere = (name: string) =>
  statSync(`${root}/${name}`, { throwIfNoEntry: false }) !== undefined;

/** Copies the sources into a folder, with imports that name files where they name a room's face. */
function copyNarrowed(to: string): void {
  const narrow = narrower((path) => Deno.readTextFileSync(`${root}/${path}`));
  const copy = (name: string) => {
    if (statSync(`${root}/${name}`).isDirectory()) {
      Deno.mkdirSync(`${to}/${name}`, { recursive: true });
      for (const entry of Deno.readDirSync(`${root}/${name}`)) copy(`${name}/${entry.name}`);
    } else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) {
      const text = narrow(name, Deno.readTextFileSync(`${root}/${name}`));
      Deno.writeTextFileSync(`${to}/${name}`, text);
    }
  };
  ["cli.ts", "lib", "ffi"].filter(isThere).forEach(copy);
  for (const name of ["deno.json", "deno.lock"]) {
    Deno.copyFileSync(`${root}/${name}`, `${to}/${name}`);
  }
}

/** What each of the commands loads, as files that the bundler wrote: it names each file's sources in comments. */
function loadedBy(pieces: ReadonlyMap<string, string>): string[][] {
  const fileOf = (source: string) => {
    const line = new RegExp(`^// (?:.*/)?${source.replaceAll(".", "\\.")}$`, "m");
    const [file] = [...pieces].find(([, text]) => line.test(text)) ?? [];
    if (file === undefined) throw new Error(`${source} is in none of the bundle's files`);
    return file;
  };
  return COMMANDS.filter((sources) => sources.every(isThere)).map((sources) => sources.map(fileOf));
}

/** Makes the bundle in a folder named by its content, and returns that name and V8's flags for it. */
async function bundle(): Promise<{ name: string; flags: string }> {
  const part = Deno.makeTempDirSync({ dir: home, prefix: "part-" });
  try {
    const sources = `${part}/sources`;
    const pieces = `${part}/pieces`;
    Deno.mkdirSync(sources);
    copyNarrowed(sources);
    const config = ["--config", `${sources}/deno.json`, "--code-splitting"];
    await bundleInto(pieces, `${sources}/cli.ts`, config);
    const split = readScripts(pieces);
    const { groups, texts } = group(split, PROGRAM, loadedBy(split));
    for (const [file, text] of texts) Deno.writeTextFileSync(`${pieces}/${file}`, text);
    const grouped = new Set(groups.flatMap(({ pieces }) => pieces));
    const left = [...texts.keys()].filter((file) => !grouped.has(file));
    const names = [...groups.map(({ name }) => name), ...left];
    await Promise.all(groups.map(async ({ name, entry }) => {
      Deno.writeTextFileSync(`${pieces}/${name}`, entry);
      const others = names.filter((other) => other !== name);
      const external = others.map((other) => `--external=./${other}`);
      // Half the bytes, 0.6 ms less. The source map still leads an error to its line in the sources.
      await bundleInto(part, `${pieces}/${name}`, ["--no-config", "--minify", ...external]);
    }));
    for (const file of left.flatMap((name) => [name, `${name}.map`])) {
      Deno.renameSync(`${pieces}/${file}`, `${part}/${file}`);
    }
    leadToSources(part);
    const verbs = await writeLoaders(`${part}/verbs`);
    rmSync(pieces, { recursive: true });
    rmSync(sources, { recursive: true });

    const scripts = readScripts(part);
    const all = [Deno.version.deno, V8_FLAGS, ...verbs, ...scripts].join("\n");
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(all));
    const name = new Uint8Array(digest).subarray(0, 8).toHex();
    const folder = `${home}/${name}`;
    const there = statSync(folder, { throwIfNoEntry: false }) !== undefined;
    if (!there) {
      Deno.chmodSync(part, 0o777 & ~Deno.umask());
      Deno.renameSync(part, folder);
    }
    return { name, flags: await warm(folder, [...scripts.keys()]) };
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

/** A program for each verb that a container has ready, and scripts/verbs.sh, which starts them. @returns what they are. */
async function writeLoaders(folder: string): Promise<string[]> {
  if (!isThere("lib/lifecycle/program/verbs.ts")) return [];
  const { arch, compileLoader, encodeElf } = await import("../ffi/mod.ts");
  const { VERBS, VERBS_KIND } = await import("../lib/lifecycle/program/mod.ts");
  const { CREATE_KIND, EXEC_VERB_KIND, RUN_KIND } = await import("../lib/lifecycle/mod.ts");
  // Its name is what it gives its words to: /bin/sh may be one of a file that has many.
  for (const name of ["exec", "create", "run"]) {
    Deno.mkdirSync(`${folder}/${name}`, { recursive: true });
  }
  const script = Deno.readTextFileSync(`${root}/scripts/verbs.sh`);
  Deno.writeTextFileSync(`${folder}/verbs.sh`, script);
  const programs = [
    ...VERBS.map((verb, entry) => ({ name: verb, program: compileLoader(entry, VERBS_KIND) })),
    { name: "exec/sh", program: compileLoader(0, EXEC_VERB_KIND, { inPlace: true, blocks: true }) },
    { name: "create/sh", program: compileLoader(0, CREATE_KIND, { inPlace: true }) },
    { name: "run/sh", program: compileLoader(0, RUN_KIND, { inPlace: true, blocks: true }) },
  ];
  const loaders = programs.map(({ name, program }) => {
    const { bytes } = encodeElf(program, arch);
    Deno.writeFileSync(`${folder}/${name}`, bytes, { mode: 0o755 });
    return bytes.toHex();
  });
  return [script, ...loaders];
}

/** Makes the source maps lead to the sources themselves, whose lines the narrowed ones have. */
function leadToSources(folder: string): void {
  const way = relative(folder, root);
  for (const { name } of Deno.readDirSync(folder)) {
    if (!name.endsWith(".map")) continue;
    const path = `${folder}/${name}`;
    const { sourcesContent: _, ...map } = JSON.parse(Deno.readTextFileSync(path));
    const lead = (source: string) => source.replace(/^(?:\.\.\/)?sources(?=\/)/, way);
    Deno.writeTextFileSync(path, JSON.stringify({ ...map, sources: map.sources.map(lead) }));
  }
}

/** The scripts in a folder, by name. */
function readScripts(folder: string): Map<string, string> {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  return new Map(
    names.filter((name) => name.endsWith(".js")).sort()
      .map((name) => [name, Deno.readTextFileSync(`${folder}/${name}`)]),
  );
}

/**
 * Has Deno compile each file, so that even the first start finds V8's code cache.
 *
 * @returns V8's flags, for which alone the cache counts.
 */
async function warm(folder: string, files: string[]): Promise<string> {
  const lines = files.map((file) => `await import("./${file}");\n`);
  // What Deno itself loads for a pull, some of it where the processor lacks what crate's machine code needs.
  lines.push(
    'await (await fetch("data:,")).text();\n',
    'await crypto.subtle.digest("SHA-256", new Uint8Array());\n',
    'new DecompressionStream("gzip");\n',
  );
  Deno.writeTextFileSync(`${folder}/warm.mjs`, lines.join(""));
  const env = { DENO_DIR: `${folder}/deno` };
  const start = async (flags: string) => {
    const common = ["run", "-A", "--no-prompt", "--no-config", ...flags && [`--v8-flags=${flags}`]];
    await deno([...common, `${folder}/warm.mjs`], env);
    await deno([...common, `${folder}/${PROGRAM}`, "version"], env);
    return flags;
  };
  const flags = await start(V8_FLAGS).catch(() => start(""));
  // Deno ends without closing its databases, and crate becomes something else: each start would read
  // what was written in the meantime from SQLite's write-ahead log, which takes 1.4 ms.
  for (const { name } of Deno.readDirSync(env.DENO_DIR)) {
    if (!name.endsWith("-wal")) continue;
    const database = new DatabaseSync(`${env.DENO_DIR}/${name.slice(0, -"-wal".length)}`);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
  }
  return flags;
}

/** Old bundles may still be running, and load a part of themselves later: a day's grace. */
function prune(current: string): void {
  for (const entry of Deno.readDirSync(home)) {
    const path = `${home}/${entry.name}`;
    const time = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (!entry.isDirectory || entry.name === current || time > Date.now() - DAY) continue;
    rmSync(path, { recursive: true, force: true });
  }
}

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

async function main(): Promise<void> {
  Deno.mkdirSync(home, { recursive: true });
  const started = Date.now();
  const { names, newest } = sources();
  let made = { name: "", flags: "" };
  try {
    made = await bundle();
    prune(made.name);
  } catch (error) {
    // Remembered as well: trying again at every start would be slower than the sources are.
    const why = error instanceof Error ? error.message : String(error);
    console.error(`crate: the bundle could not be made, the sources run as they are: ${why}`);
  }
  const part = `${home}/current.${Deno.pid}`;
  Deno.writeTextFileSync(
    part,
    `# Written by scripts/bundle.ts, read by scripts/crate.
deno=${quote(Deno.execPath())}
bundle=${quote(made.name)}
flags=${quote(made.flags)}
entry=${PROGRAM}
watched=${quote(names.join("\n"))}
`,
  );
  // What is changed from here on is newer, even if it was already read; a source from the future is not.
  const time = new Date(Math.max(started, Math.ceil(newest) + 1));
  Deno.utimeSync(part, time, time);
  Deno.renameSync(part, `${home}/current`);
}

if (import.meta.main) await main();
