import assert from "node:assert/strict";
import { group } from "./groups.ts";

const long = (kilobytes: number) => `"${"x".repeat(kilobytes << 10)}"`;

/** What the bundler would have written of a program with two commands that share most, and a rare module. */
const PIECES: Readonly<Record<string, string>> = {
  "cli.js": `import {
  count
} from "./chunk-A.js";

// cli.ts
var load = { one: () => import("./one-1.js"), two: () => import("./two-1.js"), rare: () => import("./rare-1.js") };
count(load);
`,
  "chunk-A.js": `// a.ts
var count = () => 1;
var show = () => 2;

export {
  count,
  show
};
`,
  "chunk-B.js": `import "./chunk-A.js";

// b.ts
var show2 = () => ${long(100)};

export {
  show2 as show
};
`,
  "one-1.js": `import {
  show
} from "./chunk-B.js";

// one.ts
var one = () => show(${long(1)});
export {
  one as default
};
`,
  "two-1.js": `import {
  show as show2
} from "./chunk-B.js";
import {
  show
} from "./chunk-A.js";

// two.ts
var two = () => show(show2(${long(200)}));
export {
  two as default
};
`,
  "rare-1.js": `import {
  show as show2
} from "./chunk-B.js";
import {
  count,
  show
} from "./chunk-A.js";
import "./chunk-A.js";

// rare.ts
var rare = [show2, count, show, () => import("./two-1.js")];
export {
  rare
};
`,
};
const TEXTS = new Map(Object.entries(PIECES));
const COMMANDS = [["one-1.js"], ["two-1.js"]];
const { groups, texts } = group(TEXTS, "cli.js", COMMANDS);

Deno.test("files that the same commands load are one file, and what is large is not loaded in vain", () => {
  assert.deepEqual(groups.map(({ pieces }) => pieces), [
    ["chunk-A.js", "cli.js"],
    ["two-1.js"],
    ["chunk-B.js", "one-1.js"],
  ]);
  const small = new Map(TEXTS).set("chunk-B.js", PIECES["chunk-B.js"]!.replace(/x+/, "x"));
  const [{ pieces }] = group(small, "cli.js", [["one-1.js"]]).groups as [typeof groups[0]];
  assert.deepEqual(pieces, ["chunk-A.js", "cli.js", "chunk-B.js", "one-1.js"]);
});

Deno.test("the program stays the beginning of its file", () => {
  const [{ name, entry }] = groups as [typeof groups[0]];
  assert.equal(name, "cli.js");
  assert(entry.startsWith(texts.get("cli.js")!));
  assert.equal(
    entry.slice(texts.get("cli.js")!.length),
    `
import "./chunk-A.js";
export { show as show_1 } from "./chunk-A.js";
export { count as count_1 } from "./chunk-A.js";
`,
  );
});

Deno.test("a file has from another group by names that are each one's own", () => {
  assert.equal(
    texts.get("two-1.js")!.split("// two.ts")[0],
    `import {
  show_2 as show2
} from "./part-2.js";
import {
  show_1 as show
} from "./cli.js";

`,
  );
  assert.equal(
    texts.get("rare-1.js")!.split("// rare.ts")[0],
    `import {
  show_2 as show2
} from "./part-2.js";
import {
  count_1 as count,
  show_1 as show
} from "./cli.js";
import "./cli.js";

`,
  );
  // Within its group nothing changes.
  assert.match(texts.get("one-1.js")!, /^import \{\n {2}show\n\} from ".\/chunk-B.js";$/m);
});

Deno.test("a module that is loaded late is a part of its group's file; a rare one is still a file", () => {
  const cli = texts.get("cli.js")!;
  assert.match(cli, /one: \(\) => import\(".\/part-2.js"\)\.then\(\(all\) => all\.all_3\)/);
  assert.match(cli, /two: \(\) => import\(".\/part-1.js"\)\.then\(\(all\) => all\.all_4\)/);
  assert.match(cli, /rare: \(\) => import\(".\/rare-1.js"\)/);
  assert.match(texts.get("rare-1.js")!, /import\(".\/part-1.js"\)\.then\(\(all\) => all\.all_4\)/);
  assert(groups[2]!.entry.includes('export * as all_3 from "./one-1.js";\n'));
  assert(groups[1]!.entry.includes('export * as all_4 from "./two-1.js";\n'));
});

Deno.test("groups never import each other in a circle", () => {
  // B needs both, and to put the two small ones together would close the circle.
  const chain = new Map([
    ["cli.js", "// cli.ts\n"],
    ["a.js", 'import "./b.js";\n'],
    ["b.js", `import "./c.js";\n${long(300)};\n`],
    ["c.js", "// c.ts\n"],
  ]);
  const made = group(chain, "cli.js", [["a.js"], ["c.js"], ["b.js"]]).groups;
  const fileOf = (piece: string) => made.findIndex(({ pieces }) => pieces.includes(piece));
  assert.notEqual(fileOf("b.js"), fileOf("c.js"));
  assert.notEqual(fileOf("a.js"), fileOf("c.js"));
});
