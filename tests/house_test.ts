// Holds the house: the arrows that the design draws, and the rules that no linter has.
import assert from "node:assert/strict";

const root = new URL("..", import.meta.url).pathname;

/** For each room: whose values it may import, and whose types besides. */
const ARROWS: Record<string, { readonly values: readonly string[]; readonly types?: string[] }> = {
  errors: { values: [] },
  timers: { values: [] },
  ffi: { values: [] },
  spec: { values: ["errors"], types: ["ffi"] },
  image: { values: ["errors", "ffi", "timers"], types: ["spec"] },
  overlay: { values: ["errors", "ffi"], types: ["spec"] },
  cgroup: { values: ["errors", "ffi", "timers"], types: ["spec"] },
  netlink: { values: ["errors", "ffi"], types: ["spec"] },
  security: { values: ["errors", "ffi"], types: ["spec"] },
  network: { values: ["errors", "ffi", "netlink", "timers"] },
  config: { values: ["errors", "ffi"], types: ["spec"] },
  lifecycle: {
    values: [
      "errors",
      "ffi",
      "spec",
      "image",
      "overlay",
      "cgroup",
      "netlink",
      "network",
      "security",
      "timers",
    ],
  },
  cli: {
    values: "errors ffi spec image overlay cgroup netlink network security config lifecycle timers"
      .split(
        " ",
      ),
  },
  "cli.ts": { values: ["cli"] },
  "mod.ts": { values: ["cli", "errors", "ffi", "spec", "lifecycle"] },
};

/** What is loaded when it is needed, after the start, and may therefore import a package. */
const COLD: Record<string, readonly string[]> = {
  "lib/cli/words/explain.ts": ["commander"],
  "lib/config/file.ts": ["smol-toml"],
};

/** The commands on images, and what makes a container of one: the only way to the rooms of images. */
const IMAGE_COMMANDS =
  "commit cp df diff export history images import inspect load login logout prune pull push rmi run_image run_volumes save system_prune tag volume"
    .split(
      " ",
    )
    .map((name) => `lib/cli/commands/${name}.ts`);

interface Import {
  readonly from: string;
  readonly to: string;
  /** As it is written. */
  readonly specifier: string;
  readonly kind: "value" | "type" | "dynamic";
}

/** The part of `deno info --json` that is read here. */
interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string };
      readonly type?: { readonly specifier?: string };
      readonly isDynamic?: boolean;
    }[];
  }[];
}

function sources(folder = ""): string[] {
  const found: string[] = [];
  for (const { name, isDirectory } of Deno.readDirSync(root + folder)) {
    const path = folder + name;
    if (isDirectory && !name.startsWith(".") && name !== "node_modules") {
      found.push(...sources(`${path}/`));
    } else if (name.endsWith(".ts")) found.push(path);
  }
  return found.sort();
}

const files = sources();
/** Tests, and what only tests use, by its name. */
const isForTests = (path: string) => /(^|\/)(_[^/]*|testing|[^/]*_test)\.ts$/.test(path);
const isProgram = (path: string) =>
  /^(lib\/|ffi\/|cli\.ts$|mod\.ts$)/.test(path) && !isForTests(path);
const program = files.filter(isProgram);
const known = (path: string) => files.includes(path);

/** `lib/spec/types.ts` lies in the room `spec`, `ffi/libc.ts` in `ffi`, `lib/errors.ts` in `errors`. */
function roomOf(path: string): string {
  const [first, second] = path.split("/");
  return first === "lib" ? second!.replace(/\.ts$/, "") : first!;
}

/** Deno's own parser says who imports whom: it knows comments from code, and types from values. */
async function readImports(): Promise<Import[]> {
  const list = Deno.makeTempFileSync({ suffix: ".ts" });
  try {
    const all = program.map((path) => `import ${JSON.stringify(`file://${root}${path}`)};`);
    Deno.writeTextFileSync(list, all.join("\n"));
    const args = ["info", "--json", "--config", `${root}deno.json`, list];
    const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
    const info: Info = JSON.parse(new TextDecoder().decode(stdout));
    const local = (url: string) => url.replace(`file://${root}`, "");
    const found: Import[] = [];
    for (const module of info.modules) {
      const from = local(module.specifier);
      if (!isProgram(from)) continue;
      assert.equal(module.error, undefined, `${from} must parse`);
      for (const { specifier, code, type, isDynamic } of module.dependencies ?? []) {
        const kind = code === undefined ? "type" : isDynamic ? "dynamic" : "value";
        found.push({
          from,
          to: local((code ?? type)?.specifier ?? specifier),
          specifier,
          kind,
        });
      }
    }
    return found;
  } finally {
    Deno.removeSync(list);
  }
}

const imports = await readImports();

function none(violations: readonly string[]): void {
  assert.deepEqual(violations, []);
}

Deno.test("every program file stands in a room that the design knows", () => {
  assert.ok(program.length > 0);
  none(program.filter((path) => ARROWS[roomOf(path)] === undefined));
});

Deno.test("no room imports one that the design keeps from it", () => {
  const between = imports.filter(({ from, to }) => isProgram(to) && roomOf(from) !== roomOf(to));
  assert.ok(between.length > 0);
  none(
    between.filter(({ from, to, kind }) => {
      const { values = [], types = [] } = ARROWS[roomOf(from)] ?? {};
      return !values.includes(roomOf(to)) && !(kind === "type" && types.includes(roomOf(to)));
    }).map(({ from, to, kind }) => `${from} imports ${to} (${kind})`),
  );
});

Deno.test("a folder with a mod.ts is imported by that face only", () => {
  const faceOf = (from: string, to: string) => {
    // A room's other face: what it needs of Deno, which no start must load.
    if (/^lib\/.+\/permissions\.ts$/.test(to)) return to;
    // A protocol of its own on netlink, which most starts have no need of.
    if (to === "lib/netlink/nftables/mod.ts") return to;
    const folders = to.split("/").slice(0, -1);
    for (let depth = 1; depth <= folders.length; depth++) {
      const folder = `${folders.slice(0, depth).join("/")}/`;
      if (!from.startsWith(folder) && known(`${folder}mod.ts`)) return `${folder}mod.ts`;
    }
    return to;
  };
  none(
    imports.filter(({ from, to }) => isProgram(to) && faceOf(from, to) !== to)
      .map(({ from, to }) => `${from} imports ${to}, not ${faceOf(from, to)}`),
  );
});

Deno.test("the program imports nothing that is there for tests or scripts", () => {
  none(
    imports.filter(({ to }) => known(to) && !isProgram(to))
      .map(({ from, to }) => `${from} imports ${to}`),
  );
});

Deno.test("nothing that loads at the start imports a package or node:", () => {
  // Measured: node: costs 7 ms, commander 25 ms, where a container starts in 2.
  const reachedFrom = (starts: readonly string[]) => {
    const reached = new Set(starts);
    for (const path of reached) {
      imports.filter(({ from, kind }) => from === path && kind === "value")
        .forEach(({ to }) => known(to) && reached.add(to));
    }
    return reached;
  };
  const isOfImages = (path: string) => /^lib\/(image|overlay)\//.test(path);
  // What fetches and unpacks images may use node:, since only the commands on images load it.
  const onImages = program.filter((path) => IMAGE_COMMANDS.includes(path));
  assert.equal(onImages.length, IMAGE_COMMANDS.length);
  const hot = reachedFrom(
    program.filter((path) =>
      /^(cli|mod)\.ts$|\/mod\.ts$|^lib\/cli\/commands\//.test(path) && !isOfImages(path) &&
      !onImages.includes(path)
    ),
  );
  none([...hot].filter(isOfImages).map((path) => `${path} loads at the start`));
  const outside = imports.filter(({ to, kind }) => kind === "value" && !known(to));
  none(
    outside.filter(({ from, specifier }) =>
      hot.has(from) ||
      !COLD[from]?.includes(specifier) && !(isOfImages(from) && specifier.startsWith("node:"))
    )
      .map(({ from, specifier }) =>
        `${from} imports ${specifier}${hot.has(from) ? ", at the start" : ""}`
      ),
  );
  none(Object.keys(COLD).filter((path) => !known(path)).map((path) => `${path} is gone`));
});

Deno.test("no source is longer than 400 lines, but for what a script writes", () => {
  none(
    files.flatMap((path) => {
      const text = Deno.readTextFileSync(root + path);
      const lines = text.split("\n").length - 1;
      return lines > 400 && !text.startsWith("// Generated by") ? [`${path}: ${lines} lines`] : [];
    }),
  );
});

Deno.test("no source uses the type any", () => {
  const any = /(?:[:<|&,=(]|\b(?:as|extends|keyof|infer))\s*any\b\s*(?:[;,)>=|&[\]{}]|$)/;
  const found = (text: string) =>
    text.split("\n").flatMap((line, index) => {
      const words = line.replace(/"[^"]*"|`[^`]*`/g, '""');
      const code = words.replace(/^\s*(\/?\*|\/\/).*|\/\/ .*$/, "");
      return any.test(code) ? [`${index + 1}: ${line.trim()}`] : [];
    });
  // A rule that finds nothing must be one that could.
  const samples = "let a: any;\nf(x as any)\nMap<string, any>\n// is any\nPromise.any(a)\nany: 1";
  assert.deepEqual(found(samples).map((line) => line[0]), ["1", "2", "3"]);
  none(
    files.flatMap((path) => found(Deno.readTextFileSync(root + path)).map((l) => `${path}:${l}`)),
  );
});

Deno.test("a command prints in one place, which knows of a full disk and a reader that has gone", () => {
  const others = /\bconsole\.|\bDeno\.std(?:out|err)\.write/;
  for (
    const sample of ["console.log(1)", "Deno.stdout.writeSync(b)", "await Deno.stderr.write(b)"]
  ) {
    assert.match(sample, others);
  }
  none(
    program.filter((path) => path.startsWith("lib/cli/"))
      .filter((path) => others.test(Deno.readTextFileSync(root + path))),
  );
});

Deno.test("whatever is told to be ignored says why", () => {
  // The words stand apart here, or this file would be found.
  const ignore = new RegExp(
    `(?://|/\\*)\\s*(deno-lint-ignore(?:-file)?|@ts-(?:ignore|expect-error|nocheck))(.*)`,
  );
  const found = (text: string) =>
    text.split("\n").flatMap((line, index) => {
      const [, directive, rest] = ignore.exec(line) ?? [];
      if (directive === undefined) return [];
      const reason = directive.startsWith("deno-") ? /--\s*\S+ \S+/ : /\S+ \S+/;
      return reason.test(rest!) ? [] : [`${index + 1}: ${line.trim()}`];
    });
  const samples = ["lint-ignore no-console", "lint-ignore no-console -- it is a command"];
  assert.equal(found(samples.map((sample) => `// deno-${sample}`).join("\n")).length, 1);
  none(
    files.flatMap((path) => found(Deno.readTextFileSync(root + path)).map((l) => `${path}:${l}`)),
  );
});
