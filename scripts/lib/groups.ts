/**
 * Puts the files together that `deno bundle --code-splitting` wrote: it cuts a program into as many as there are sets of
 * commands that share a module, and each file costs a start 0.1 ms, but so do every few kilobytes that it does not
 * need. The bundler, called once more for each group, makes one file of it.
 *
 * @module
 */

/** A file to be: its name, and what it is made of. */
export interface Group {
  readonly name: string;
  /** The text that the bundler begins with, in a file of this name. */
  readonly entry: string;
  /** The files that it puts together. */
  readonly pieces: readonly string[];
}

/** What becomes of a bundle's files. */
export interface Grouping {
  /** To be bundled again, each without splitting. The first one is the program. */
  readonly groups: readonly Group[];
  /** The files' new text by name, those that stay as they are and in no group among them. */
  readonly texts: ReadonlyMap<string, string>;
}

/** Milliseconds that a start takes for another file, and for another byte of it (before it is minified). */
const FILE = 0.12;
const BYTE = 0.01 / 1024;

// As esbuild writes them, each at the start of a line.
const IMPORTS = /^import (?:\{\n([^}]*)\n\} from )?"\.\/([\w.-]+)";$/gm;
const DYNAMIC = /\bimport\("\.\/([\w.-]+)"\)/g;

/** A name of an import or export list: `a`, `a as b`. */
function readNames(list: string): [name: string, as: string][] {
  return list.split(",").map((item) => {
    const [name = "", as = name] = item.trim().split(" as ");
    return [name, as];
  });
}

/**
 * Groups the files so that short commands start fastest: two files are in one group when the same commands load them,
 * and then groups are put together as long as that is faster for all commands taken together.
 *
 * @param texts the files that the bundler wrote, not minified, by name
 * @param program the file that a start begins with
 * @param commands what each command loads beside it, sooner or later
 *
 * @example
 * ```ts
 * import { group } from "./groups.ts";
 * const texts = new Map([
 *   ["cli.js", 'import {\n  one\n} from "./chunk.js";\none(() => import("./run-1.js"));\n'],
 *   ["chunk.js", "var one = (f) => f;\n\nexport {\n  one\n};\n"],
 *   ["run-1.js", `import {\n  one\n} from "./chunk.js";\none("${"x".repeat(200_000)}");\n`],
 * ]);
 * const { groups } = group(texts, "cli.js", [["run-1.js"]]);
 * if (groups.map(({ pieces }) => pieces.join()).join(" ") !== "chunk.js,cli.js run-1.js") throw new Error();
 * ```
 */
export function group(
  texts: ReadonlyMap<string, string>,
  program: string,
  commands: readonly (readonly string[])[],
): Grouping {
  const imports = new Map([...texts].map(([file, text]) => [file, importsOf(text)]));
  const parts = partition(texts, imports, program, commands);
  const nameOf = new Map<string, string>();
  const names = parts.map((part, i) => {
    const name = part.includes(program) ? program : `part-${i}.js`;
    for (const piece of part) nameOf.set(piece, name);
    return name;
  });

  // What a file has from one of another group it has by a name of its own: two may export the same one.
  const order = [...texts.keys()];
  const alias = (name: string, file: string) => `${name}_${order.indexOf(file)}`;
  const exported = new Map<string, Set<string>>(names.map((name) => [name, new Set()]));
  const outside = (file: string, from: string) =>
    nameOf.has(from) && nameOf.get(from) !== nameOf.get(file);
  const changed = new Map<string, string>();
  for (const [file, text] of texts) {
    let result = text.replace(IMPORTS, (line, list: string | undefined, from: string) => {
      if (!outside(file, from)) return line;
      const to = nameOf.get(from)!;
      if (list === undefined) return `import "./${to}";`;
      const items = readNames(list).map(([name, as]) => {
        exported.get(to)!.add(`export { ${name} as ${alias(name, from)} } from "./${from}";`);
        return `  ${alias(name, from)} as ${as}`;
      });
      return `import {\n${items.join(",\n")}\n} from "./${to}";`;
    });
    result = result.replace(DYNAMIC, (call, from: string) => {
      const to = nameOf.get(from);
      if (to === undefined) return call;
      const whole = alias("all", from);
      exported.get(to)!.add(`export * as ${whole} from "./${from}";`);
      return `import("./${to}").then((all) => all.${whole})`;
    });
    changed.set(file, result);
  }
  const groups = parts.map((part, i) => {
    const name = names[i]!;
    const others = part.filter((piece) => piece !== name).map((piece) => `import "./${piece}";`);
    const lines = [...others, ...exported.get(name)!].map((line) => `${line}\n`).join("");
    // The program is its group's beginning: only there `import.meta.main` is true. What is added stands at the
    // end, where the source map's lines stay where they are.
    const entry = name === program ? `${changed.get(name)}\n${lines}` : lines;
    return { name, entry, pieces: part };
  });
  return { groups, texts: changed };
}

function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORTS)].map(([, , from]) => from!);
}

/** Groups of files, the program's first; each in the order in which they are to be run. */
function partition(
  texts: ReadonlyMap<string, string>,
  imports: ReadonlyMap<string, readonly string[]>,
  program: string,
  commands: readonly (readonly string[])[],
): string[][] {
  // Every other command begins with the program, too.
  const entries = [[], ...commands].map((files) => [program, ...files]);
  const loaded = entries.map((files) => closure(files, (file) => imports.get(file)!));
  const bySet = new Map<string, string[]>();
  // What is imported comes before whoever imports it.
  for (const file of sorted(entries.flat(), imports)) {
    const key = loaded.map((files) => Number(files.has(file))).join("");
    bySet.set(key, [...bySet.get(key) ?? [], file]);
  }
  let parts = [...bySet.values()];
  const costOf = (parts: readonly string[][]) => {
    const indexOf = new Map(parts.flatMap((part, i) => part.map((file) => [file, i] as const)));
    const edges = parts.map((part, i) =>
      new Set(part.flatMap((file) => imports.get(file)!.map((from) => indexOf.get(from)!)))
        .difference(new Set([i]))
    );
    if (edges.some((next, i) => [...next].some((n) => closure([n], (j) => edges[j]!).has(i)))) {
      return Infinity; // they would import each other
    }
    const costs = parts.map((part) =>
      part.reduce((sum, file) => sum + texts.get(file)!.length * BYTE, FILE)
    );
    return entries
      .map((files) => closure(files.map((file) => indexOf.get(file)!), (i) => edges[i]!))
      .reduce((sum, needed) => sum + [...needed].reduce((sum, i) => sum + costs[i]!, 0), 0);
  };
  for (let cost = costOf(parts);;) {
    let best: { parts: string[][]; cost: number } | undefined;
    for (let i = 0; i < parts.length; i++) {
      for (let j = 0; j < i; j++) {
        const rest = parts.filter((_, k) => k !== i && k !== j);
        const joined = [...rest, [...parts[j]!, ...parts[i]!]];
        const cost = costOf(joined);
        if (cost < (best?.cost ?? Infinity)) best = { parts: joined, cost };
      }
    }
    if (best === undefined || best.cost >= cost) break;
    ({ parts, cost } = best);
  }
  const position = sorted(entries.flat(), imports);
  const ordered = parts.map((part) => position.filter((file) => part.includes(file)));
  return [
    ...ordered.filter((part) => part.includes(program)),
    ...ordered.filter((part) => !part.includes(program)),
  ];
}

/** These and all that follows from them. */
function closure<T>(from: Iterable<T>, next: (item: T) => Iterable<T>): Set<T> {
  const found = new Set(from);
  for (const item of found) for (const other of next(item)) found.add(other);
  return found;
}

/** Files and all that they import, in the order in which they would be run. */
function sorted(
  files: readonly string[],
  imports: ReadonlyMap<string, readonly string[]>,
): string[] {
  const done = new Set<string>();
  const visited = new Set<string>();
  const visit = (file: string) => {
    if (visited.has(file)) return;
    visited.add(file);
    for (const from of imports.get(file)!) visit(from);
    done.add(file);
  };
  files.forEach(visit);
  return [...done];
}
