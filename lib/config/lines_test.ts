import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "smol-toml";
import { keyLines, pathName } from "./lines.ts";

const unquote = (quoted: string) => Object.keys(parse(`${quoted} = 0`))[0]!;

function linesOf(text: string): Record<string, number> {
  return Object.fromEntries(keyLines(text, unquote));
}

Deno.test("tables, dotted keys and quoted keys are found on their lines", () => {
  const text = [
    'a = "# no comment" # a comment = 1',
    "b.c = 1",
    "",
    " # [not.a.table]",
    "[ d . 'e f' ] # comment",
    '"g\\u0068" = 2',
    "\ti = [",
    "  1, # [no, table]",
    "  { hidden = 1 }]",
    "j = { k = 1, l.m = { n = '}' } }",
    "[[o]]",
    "p = 2020-01-01 10:00:00",
  ].join("\r\n");
  assert(parse(text));
  assert.deepEqual(linesOf(text), {
    '["a"]': 1,
    '["b"]': 2,
    '["b","c"]': 2,
    '["d"]': 5,
    '["d","e f"]': 5,
    '["d","e f","gh"]': 6,
    '["d","e f","i"]': 7,
    '["d","e f","j"]': 10,
    '["d","e f","j","k"]': 10,
    '["d","e f","j","l"]': 10,
    '["d","e f","j","l","m"]': 10,
    '["d","e f","j","l","m","n"]': 10,
    '["o"]': 11,
    '["o","p"]': 12,
  });
});

Deno.test("what looks like a key inside of a long string is none", () => {
  const text = [
    'a = """',
    "b = 1",
    '\\""" # still inside',
    '[c]"""""',
    "d = '''",
    "e = 1 \\'''''",
    'f = ""',
    "g = ''",
    "h = 1",
  ].join("\n");
  assert(parse(text));
  assert.deepEqual(linesOf(text), { '["a"]': 1, '["d"]': 5, '["f"]': 7, '["g"]': 8, '["h"]': 9 });
});

/** A piece of TOML, and the paths that it sets with their lines, counted from its own first. */
interface Piece {
  readonly text: string;
  readonly paths: [path: string[], line: number][];
}

const part = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/).map((name) => ({ name, text: name })),
  fc.string().filter((name) => !name.includes("'")).map((name) => ({ name, text: `'${name}'` })),
  fc.string({ unit: "grapheme" }).map((name) => ({
    name,
    text: JSON.stringify(name).replaceAll("\x7f", "\\u007F"),
  })),
);

const scalar = fc.constantFrom(
  ...["1", "-0.5", "true", "2020-01-01", "2020-01-01 10:00:00", '"a # [b] = \\" \\\\"', "'\\'"],
  ...["[]", "[1, 2,]", "[ # comment ]\n 'a',\n\n {b = [1]},\n]", "[{}, {a.b = '}', c = 1}]"],
  ...['"""\n[a]\nb = 1\n\\""" """', "'''\n# a\nb = '' '''", '""""a"""""', "''''a'''''", '""', "''"],
);

const { value } = fc.letrec<{ value: Piece; inline: Piece }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    scalar.map((text): Piece => ({ text, paths: [] })),
    tie("inline"),
  ),
  inline: fc.uniqueArray(fc.tuple(part, tie("value")), {
    selector: ([{ name }]) => name,
    maxLength: 3,
  }).map((pairs) => join(pairs.map(([key, value]) => pair([key], value)), "{ ", " , ", " }")),
}));

function pair(keys: { name: string; text: string }[], value: Piece): Piece {
  const path = keys.map((each) => each.name);
  const inner = value.paths.map(([below, line]): [string[], number] => [[...path, ...below], line]);
  return {
    text: `${keys.map((each) => each.text).join(" . ")} = ${value.text}`,
    paths: [[path, 1], ...inner],
  };
}

function join(pieces: readonly Piece[], start: string, between: string, end: string): Piece {
  let text = start;
  const paths: [string[], number][] = [];
  pieces.forEach((piece, index) => {
    if (index > 0) text += between;
    const before = text.split("\n").length - 1;
    paths.push(...piece.paths.map(([path, line]): [string[], number] => [path, before + line]));
    text += piece.text;
  });
  return { text: text + end, paths };
}

const blank = fc.constantFrom("", "\n", "# c = 1\n", "\n  # [t] '''\n\n", "\t");

const statements = fc.uniqueArray(
  fc.tuple(part, fc.option(part, { nil: undefined }), value, blank),
  // One key is not above or beside another of the same name.
  { selector: ([{ name }]) => name, maxLength: 5 },
).map((all) =>
  join(
    all.map(([first, second, value, above]) => {
      const piece = pair(second ? [first, second] : [first], value);
      return join([piece], above, "", " # end = 0");
    }),
    "",
    "\n",
    "\n",
  )
);

const document = fc.tuple(
  statements,
  fc.uniqueArray(fc.tuple(part, part, statements), {
    selector: ([{ name }]) => name,
    maxLength: 3,
  }),
).map(([top, tables]) => {
  // Below two names of their own, tables meet nothing of the top or of each other.
  const pieces = tables.map(([first, second, { text, paths }], index): Piece => ({
    text: `[ table${index}-of-the-document .${first.text}.${second.text}] # [x]\n${text}`,
    paths: paths.map(([path, line]) => [
      [`table${index}-of-the-document`, first.name, second.name, ...path],
      line + 1,
    ]),
  }));
  return join([top, ...pieces], "", "", "");
});

Deno.test("in any document every key is found on the line that it was written on", () => {
  fc.assert(
    fc.property(document, ({ text, paths }) => {
      const parsed = parse(text);
      const lines = keyLines(text, unquote);
      for (const [path, line] of paths) {
        assert.equal(lines.get(pathName(path)), line, pathName(path));
      }
      const found = [...lines.keys()].filter((name) =>
        !paths.some(([path]) => pathName(path) === name)
      );
      // What else was found are the tables above those keys: the parser knows them, too.
      for (const name of found) {
        const table = (JSON.parse(name) as string[]).reduce<unknown>(
          (at, key) => (at as Record<string, unknown>)[key],
          parsed,
        );
        assert.equal(typeof table, "object", name);
      }
    }),
    { numRuns: 300 },
  );
});
