/**
 * Where a text stops being JSON. `JSON.parse` is fast and says so only sometimes; this reads the
 * text again, slowly, once it is known to be wrong.
 *
 * @module
 */

/** The first thing that is wrong: lines and columns from 1, columns in UTF-16 units. */
export interface JsonError {
  readonly line: number;
  readonly column: number;
  readonly problem: string;
}

const SPACE = /[ \t\n\r]*/y;
// deno-lint-ignore no-control-regex -- JSON forbids exactly these characters in a string (RFC 8259)
const STRING = /"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"/y;
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;

/**
 * Finds the first error of a text that should be JSON (RFC 8259), or undefined when there is none.
 */
export function findJsonError(text: string): JsonError | undefined {
  let position = 0;
  const problem = scan();
  if (problem === undefined) return undefined;
  const before = text.slice(0, position).split("\n");
  return { line: before.length, column: before[before.length - 1]!.length + 1, problem };

  function take(pattern: RegExp): boolean {
    pattern.lastIndex = position;
    if (!pattern.test(text)) return false;
    position = pattern.lastIndex;
    return true;
  }

  /** Leaves `position` at the error. Containers that are open stand on a stack, not in calls. */
  function scan(): string | undefined {
    const open: ("{" | "[")[] = [];
    let expect: "value" | "first item" | "first key" | "key" | "next" = "value";
    while (true) {
      take(SPACE);
      const character = text[position];
      const container = open[open.length - 1];
      if (expect === "next" && container === undefined) {
        return character === undefined ? undefined : `nothing expected after the end, ${found()}`;
      }
      if (expect === "next") {
        if (character === (container === "{" ? "}" : "]")) {
          open.pop();
        } else if (character === ",") {
          expect = container === "{" ? "key" : "value";
        } else {
          return `expected "," or "${container === "{" ? "}" : "]"}", ${found()}`;
        }
        position++;
      } else if (expect === "first key" && character === "}") {
        open.pop();
        position++;
        expect = "next";
      } else if (expect === "first item" && character === "]") {
        open.pop();
        position++;
        expect = "next";
      } else if (expect === "first key" || expect === "key") {
        if (character !== '"') return `expected a field's name in double quotes, ${found()}`;
        if (!take(STRING)) return brokenString();
        take(SPACE);
        if (text[position] !== ":") return `expected ":", ${found()}`;
        position++;
        expect = "value";
      } else if (character === "{" || character === "[") {
        open.push(character);
        position++;
        expect = character === "{" ? "first key" : "first item";
      } else if (character === '"') {
        if (!take(STRING)) return brokenString();
        expect = "next";
      } else {
        if (!take(SCALAR)) return `expected a value, ${found()}`;
        expect = "next";
      }
    }
  }

  function found(): string {
    if (position >= text.length) return "the text ends";
    const word = /[\w.+-]{1,20}|[^]/yu;
    word.lastIndex = position;
    return `found ${word.exec(text)?.[0] ?? text[position]}`;
  }

  /** Moves to the character that breaks the string, or to where it starts when it never ends. */
  function brokenString(): string {
    // deno-lint-ignore no-control-regex -- as above
    const good = /"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*/y;
    const start = position;
    take(good);
    if (position >= text.length) {
      position = start;
      return "this string never ends";
    }
    if (text[position] === "\\") {
      return `not an escape in a string: ${text.slice(position, position + 2)}`;
    }
    return "a string must not go over the end of a line or have control characters";
  }
}
