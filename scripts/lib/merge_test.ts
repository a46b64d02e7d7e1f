import assert from "node:assert/strict";
import { merge } from "./merge.ts";

const LONG = `"${"x".repeat(20_000)}"`;

/** What the bundler would have written of a program with a large and two small modules that load late. */
const PIECES: Readonly<Record<string, string>> = {
  "main.js": `import {
  count
} from "./chunk-A.js";

// main.ts
var load = { small: () => import("./small-1.js"), run: () => import("./run-1.js"), rare: () => import("./rare-1.js") };
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
  "chunk-B.js": `// b.ts
var show2 = () => 3;

export {
  show2 as show
};
`,
  "small-1.js": `// small.ts
function small() {
}
export {
  small as default
};
`,
  "run-1.js": `import {
  show
} from "./chunk-B.js";
import "./chunk-A.js";

// run.ts
var run = () => show(${LONG});
export {
  run as default
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
var rare = [show2, count, show, ${LONG}];
export {
  rare
};
`,
};
const pieces = (changed: Record<string, string> = {}) =>
  new Map(Object.entries({ ...PIECES, ...changed }));

Deno.test("what is asked for and what is small is merged, what is large stays a file", () => {
  const { merged, left } = merge(pieces(), "main.js", ["run"]);
  const names = ["main.js", "chunk-A.js", "run-1.js", "chunk-B.js", "small-1.js"];
  assert.deepEqual([...merged.keys()], names);
  assert.deepEqual([...left.keys()], ["rare-1.js"]);
  assert.deepEqual([...merge(pieces(), "main.js", []).left.keys()].sort(), [
    "chunk-B.js",
    "rare-1.js",
    "run-1.js",
  ]);
});

Deno.test("a merged module is there when it is loaded, another is still a file", () => {
  const main = merge(pieces(), "main.js", ["run"]).merged.get("main.js")!;
  assert.match(
    main,
    /small: .*absorbed_(\d)\), run[^]*import \* as absorbed_\1 from ".\/small-1.js";/,
  );
  assert.match(
    main,
    /run: .*absorbed_(\d)\), rare[^]*import \* as absorbed_\1 from ".\/run-1.js";/,
  );
  assert.match(main, /rare: \(\) => import\(".\/rare-1.js"\)/);
});

Deno.test("a file that is left has its names from the merged one, equal ones of two modules apart", () => {
  const { merged, left } = merge(pieces(), "main.js", ["run"]);
  assert.equal(
    left.get("rare-1.js")!.split("// rare.ts")[0],
    `import {
  show_3 as show2
} from "./main.js";
import {
  count_1 as count,
  show_1 as show
} from "./main.js";
import "./main.js";

`,
  );
  const main = merged.get("main.js")!;
  assert(main.includes('export { show as show_3 } from "./chunk-B.js";\n'));
  assert(main.includes('export { count as count_1, show as show_1 } from "./chunk-A.js";\n'));
});

Deno.test("a file that is left may not load what is merged: it would be there twice", () => {
  const rare = `${PIECES["rare-1.js"]}import("./run-1.js");\n`;
  assert.throws(
    () => merge(pieces({ "rare-1.js": rare }), "main.js", ["run"]),
    /rare-1.js would load run-1.js/,
  );
});

Deno.test("what is small stays a file when one that stays a file loads it", () => {
  const rare = `${PIECES["rare-1.js"]}import("./small-1.js");\n`;
  const { merged, left } = merge(pieces({ "rare-1.js": rare }), "main.js", ["run"]);
  assert.deepEqual([...left.keys()].sort(), ["rare-1.js", "small-1.js"]);
  assert.match(merged.get("main.js")!, /import\("\.\/small-1\.js"\)/);
});
