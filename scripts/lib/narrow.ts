/**
 * Makes each import of a room's face (`mod.ts`) one of the files that define the names: a face brings its whole room,
 * and the bundler cannot know that a command needs two files of it.
 *
 * It knows the house's style, and no more of TypeScript: faces have only `export … from` and declarations; `deno fmt`
 * has written them.
 *
 * @module
 */
import { dirname, join, relative } from "node:path/posix";

/** Where a name is defined, and how it is called there. */
interface Origin {
  readonly file: string;
  readonly name: string;
}

const FACE = "/mod.ts";
const LIST = /^(import|export) \{([^}]*)\} from "(\.[^"]+)";/gm;
const STAR = /^export \* from "(\.[^"]+)";/gm;
const DECLARATION =
  /^export (?:abstract )?(?:async )?(?:function\*?|const|let|class|interface|type|enum) (\w+)/gm;
const DESTRUCTURED = /(const \{([^}]*)\} = await import\(")(\.[^"]+)("\))/g;
const MEMBER = /(\(await import\(")(\.[^"]+)("\)\)\.(\w+))/g;

/** The values in a list of an import or an export, without the types. */
function readNames(list: string): [name: string, as: string][] {
  return list.split(",").map((item) => item.trim()).filter((item) => item && !/^type /.test(item))
    .map((item) => {
      const [name = "", as = name] = item.split(/ as |: /);
      return [name, as];
    });
}

/**
 * Rewrites sources, each on as many lines as it has.
 *
 * @param read the text of a source by its path
 * @returns what makes a source's new text of its path and its text
 *
 * @example
 * ```ts
 * import { narrower } from "./narrow.ts";
 * const sources: Record<string, string> = {
 *   "room/mod.ts": 'export { one } from "./one.ts";\nexport { two as zwei } from "./two.ts";\n',
 *   "room/one.ts": "export const one = 1;\n",
 *   "room/two.ts": "export const two = 2;\n",
 * };
 * const narrow = narrower((path) => sources[path]!);
 * const text = narrow("cli.ts", 'import { zwei } from "./room/mod.ts";\n');
 * if (text !== 'import { two as zwei } from "./room/two.ts";\n') throw new Error(text);
 * ```
 */
export function narrower(read: (path: string) => string): (path: string, text: string) => string {
  const known = new Map<string, ReadonlyMap<string, Origin>>();

  function exportsOf(file: string): ReadonlyMap<string, Origin> {
    const before = known.get(file);
    if (before !== undefined) return before;
    const found = new Map<string, Origin>();
    known.set(file, found);
    const text = read(file);
    for (const [, name] of text.matchAll(DECLARATION)) found.set(name!, { file, name: name! });
    for (const [, kind, list, from] of text.matchAll(LIST)) {
      if (kind === "import") continue;
      for (const [name, as] of readNames(list!)) found.set(as, origin(from!, file, name));
    }
    for (const [, from] of text.matchAll(STAR)) {
      for (const [name, where] of exportsOf(join(dirname(file), from!))) {
        if (!found.has(name)) found.set(name, where);
      }
    }
    return found;
  }

  /** Where a name is defined that a file has from another one. */
  function origin(from: string, file: string, name: string): Origin {
    const path = join(dirname(file), from);
    return exportsOf(path).get(name) ?? { file: path, name };
  }

  return (file, text) => {
    const specifier = (path: string) => {
      const way = relative(dirname(file), path);
      return way.startsWith(".") ? way : `./${way}`;
    };
    const replaceList = (line: string, kind: string, list: string, from: string) => {
      if (!from.endsWith(FACE)) return line;
      const lists = new Map<string, string[]>();
      for (const [name, as] of readNames(list)) {
        const where = origin(from, file, name);
        const items = lists.get(where.file) ?? [];
        lists.set(where.file, items);
        items.push(where.name === as ? as : `${where.name} as ${as}`);
      }
      const lines = [...lists]
        .map(([path, items]) => `${kind} { ${items.join(", ")} } from "${specifier(path)}";`);
      return lines.join(" ") + "\n".repeat(line.split("\n").length - 1);
    };
    /** The one file that has all of these names, which a call of `import` can name in the face's place. */
    const onlyFile = (from: string, names: readonly string[]) => {
      if (!from.endsWith(FACE)) return from;
      const found = names.map((name) => origin(from, file, name));
      const files = new Set(found.map((where) => where.file));
      const isSame = found.every((where, i) => where.name === names[i]);
      return files.size === 1 && isSame ? specifier(found[0]!.file) : from;
    };
    return text
      .replace(LIST, replaceList)
      .replace(DESTRUCTURED, (_, before, list, from, after) => {
        return before + onlyFile(from, readNames(list).map(([name]) => name)) + after;
      })
      .replace(MEMBER, (_, before, from, after, name) => before + onlyFile(from, [name]) + after);
  };
}
