import assert from "node:assert/strict";
import { narrower } from "./narrow.ts";

const SOURCES: Readonly<Record<string, string>> = {
  "lib/room/mod.ts": `/** The room. */
export { one, type Uno, two as zwei } from "./numbers.ts";
export type { Tres } from "./numbers.ts";
export * from "./more.ts";
export { inner } from "./inner/mod.ts";
export const own = 5;
`,
  "lib/room/numbers.ts": "export const one = 1;\nexport const two = 2;\n",
  "lib/room/more.ts": "export async function more() {}\nexport class Most {}\n",
  "lib/room/inner/mod.ts": 'export { deep as inner } from "./deep.ts";\n',
  "lib/room/inner/deep.ts": "export const deep = 6;\n",
};
const narrow = narrower((path) => SOURCES[path]!);

Deno.test("an import of a face becomes imports of the files, on as many lines", () => {
  const text = `import { CrateError } from "./errors.ts";
import {
  inner,
  more,
  one as un,
  own,
  type Uno,
  zwei,
} from "./room/mod.ts";
import type { Tres } from "./room/mod.ts";
more();
`;
  assert.equal(
    narrow("lib/a.ts", text),
    `import { CrateError } from "./errors.ts";
import { deep as inner } from "./room/inner/deep.ts"; import { more } from "./room/more.ts"; ` +
      `import { one as un, two as zwei } from "./room/numbers.ts"; ` +
      `import { own } from "./room/mod.ts";







import type { Tres } from "./room/mod.ts";
more();
`,
  );
});

Deno.test("a call of import names a file where it can", () => {
  const cases = [
    ['const { one } = await import("./room/mod.ts");', "./room/numbers.ts"],
    ['const { inner: other } = await import("./room/mod.ts");', "./room/mod.ts"],
    ['const { one, more } = await import("./room/mod.ts");', "./room/mod.ts"],
    ['(await import("./room/mod.ts")).more();', "./room/more.ts"],
    ['load(import("./room/mod.ts"));', "./room/mod.ts"],
    ['const { x } = await import("./other.ts");', "./other.ts"],
  ] as const;
  for (const [text, to] of cases) {
    assert.equal(narrow("lib/a.ts", text), text.replace(/"\.[^"]*"/, `"${to}"`));
  }
});

Deno.test("a room's own files, and files above it, are found from where an import stands", () => {
  assert.equal(
    narrow("lib/room/inner/x.ts", 'export { one } from "../mod.ts";\n'),
    'export { one } from "../numbers.ts";\n',
  );
  assert.equal(
    narrow("lib/room/x.ts", 'import { more } from "./mod.ts";\n'),
    'import { more } from "./more.ts";\n',
  );
});
