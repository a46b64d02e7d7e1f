/**
 * Puts the files together that `deno bundle --code-splitting` wrote and that a short command needs: it
 * cuts a program into as many files as there are sets of commands that share a module, and each file
 * costs a start 0.12 ms. The bundler, called once more, makes one file of those that stand in `merged`.
 *
 * @module
 */

/** What becomes of a bundle's files. */
export interface Merge {
  /** To be bundled again, without splitting, from the entry on: text by name. */
  readonly merged: ReadonlyMap<string, string>;
  /** What stays a file of its own, beside the merged one, whose name is the entry's. */
  readonly left: ReadonlyMap<string, string>;
}

/** Less than this is read faster than a file of its own is opened. */
const SMALL = 16 << 10;

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
 * Chooses what to merge: the entry, the dynamically imported files whose name begins with one of
 * `always`, and those that are small with all that they need and is not there yet.
 *
 * @param texts the files that the bundler wrote, not minified, by name
 *
 * @example
 * ```ts
 * import { merge } from "./merge.ts";
 * const { merged, left } = merge(
 *   new Map([
 *     ["main.js", 'import {\n  one\n} from "./chunk.js";\none(() => import("./rare-1.js"));\n'],
 *     ["chunk.js", "var one = (f) => f;\n\nexport {\n  one\n};\n"],
 *     ["rare-1.js", `import {\n  one\n} from "./chunk.js";\none("${"x".repeat(20_000)}");\n`],
 *   ]),
 *   "main.js",
 *   [],
 * );
 * if ([...merged.keys()].join() !== "main.js,chunk.js") throw new Error();
 * if (!left.get("rare-1.js")!.includes('one_1 as one\n} from "./main.js"')) throw new Error();
 * ```
 */
export function merge(
  texts: ReadonlyMap<string, string>,
  entry: string,
  always: readonly string[],
): Merge {
  const inside = closure(texts, [entry]);
  const dynamic = [...texts.values()]
    .flatMap((text) => [...text.matchAll(DYNAMIC)].map(([, name]) => name!))
    .filter((name) => texts.has(name)).sort();
  const isAlways = (name: string) => always.some((start) => name.startsWith(`${start}-`));
  const absorbed = new Set<string>();
  const importers = (name: string) =>
    [...texts].flatMap(([file, text]) =>
      [...text.matchAll(DYNAMIC)].some(([, to]) => to === name) ? file : []
    );
  const candidates = new Set([...dynamic.filter(isAlways), ...dynamic]);
  // A file that is absorbed may be the last that loads another one: the set is gone through again.
  for (const name of candidates) {
    if (absorbed.has(name)) continue;
    // Whoever stays a file of its own could not load it any more.
    if (!isAlways(name) && !importers(name).every((file) => inside.has(file))) continue;
    const needed = [...closure(texts, [name])].filter((name) => !inside.has(name));
    const size = needed.reduce((sum, name) => sum + texts.get(name)!.length, 0);
    if (!isAlways(name) && size > SMALL) continue;
    needed.forEach((name) => inside.add(name));
    absorbed.add(name);
    for (const other of dynamic) {
      if (absorbed.has(other)) continue;
      candidates.delete(other);
      candidates.add(other);
    }
  }

  // The files that are left import from the entry what they imported from a merged one.
  const wanted = new Map<string, Set<string>>();
  const order = [...inside];
  const alias = (name: string, file: string) => `${name}_${order.indexOf(file)}`;
  const left = new Map<string, string>();
  for (const [file, text] of texts) {
    if (inside.has(file)) continue;
    left.set(
      file,
      text.replace(IMPORTS, (line, list: string | undefined, from: string) => {
        if (!inside.has(from)) return line;
        if (list === undefined) return `import "./${entry}";`;
        const names = wanted.get(from) ?? new Set();
        wanted.set(from, names);
        const items = readNames(list).map(([name, as]) => {
          names.add(name);
          return `  ${alias(name, from)} as ${as}`;
        });
        return `import {\n${items.join(",\n")}\n} from "./${entry}";`;
      }),
    );
    const lost = [...text.matchAll(DYNAMIC)].find(([, name]) => inside.has(name!));
    if (lost) throw new Error(`${file} would load ${lost[1]}, which is merged`);
  }

  // What is added stands at the end: the source map's lines stay where they are.
  const merged = new Map<string, string>();
  for (const file of inside) {
    let text = `${texts.get(file)}\n`;
    for (const [i, name] of [...absorbed].entries()) {
      const call = `import("./${name}")`;
      if (!text.includes(call)) continue;
      text = text.replaceAll(call, `Promise.resolve(absorbed_${i})`);
      text += `import * as absorbed_${i} from "./${name}";\n`;
    }
    merged.set(file, text);
  }
  for (const [file, names] of wanted) {
    const items = [...names].map((name) => `${name} as ${alias(name, file)}`);
    const line = `export { ${items.join(", ")} } from "./${file}";\n`;
    merged.set(entry, merged.get(entry)! + line);
  }
  return { merged, left };
}

/** These files and all that they import statically. */
function closure(texts: ReadonlyMap<string, string>, files: readonly string[]): Set<string> {
  const found = new Set(files);
  for (const file of found) {
    for (const [, , from] of texts.get(file)!.matchAll(IMPORTS)) found.add(from!);
  }
  return found;
}
