import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import { parseEnvFile, resolveEnv } from "./words_env.ts";

const refused = (sentence: string) => (error: unknown) => {
  assert(error instanceof CrateError && error.code === "INVALID", String(error));
  assert.equal(error.message, sentence);
  return true;
};

Deno.test("a file of variables is read as docker reads it", () => {
  const text = '\uFEFF# comment\n\n  A=1\r\nB="quoted" # kept \nTERM \n   # comment\nC=\nD=a=b\n';
  assert.deepEqual(parseEnvFile(text, "vars"), [
    "A=1",
    'B="quoted" # kept ',
    "TERM",
    "C=",
    "D=a=b",
  ]);
});

Deno.test("a line that is no variable is refused with file and line", () => {
  assert.throws(
    () => parseEnvFile("A=1\n=2", "vars"),
    refused('vars:2: no variable\'s name in "=2": NAME=VALUE or NAME'),
  );
  assert.throws(
    () => parseEnvFile("export A=1", "vars"),
    refused('vars:1: white space in a variable\'s name, "export A"'),
  );
  assert.throws(
    () => parseEnvFile("A=\0", "vars"),
    refused('vars:1: a NUL character in the variable "A"'),
  );
});

Deno.test("a name alone takes its value from here, or is left out", () => {
  const here = (name: string) => ({ TERM: "xterm", EMPTY: "" })[name];
  assert.deepEqual(resolveEnv(["TERM", "EMPTY", "NONE", "A=1"], here), [
    "TERM=xterm",
    "EMPTY=",
    "A=1",
  ]);
  assert.throws(
    () => resolveEnv([""], here),
    refused('--env: no variable\'s name in "": NAME=VALUE or NAME'),
  );
});

Deno.test("of two variables with one name the later counts", () => {
  assert.deepEqual(resolveEnv(["A=1", "B=1", "A=2"], () => undefined), ["A=2", "B=1"]);
});

Deno.test("any text is variables or refused, and what was written is read", () => {
  const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/);
  const value = fc.string().map((text) => text.replace(/[\0\n\r]/g, ""));
  const words = fc.array(fc.tuple(name, value).map(([name, value]) => `${name}=${value}`));
  fc.assert(fc.property(words, (words) => {
    assert.deepEqual(parseEnvFile(words.join("\n"), "vars"), words);
  }));
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    try {
      for (const word of resolveEnv(parseEnvFile(text, "vars"), () => "x")) {
        assert(word.indexOf("=") > 0 && !/[\0\n]/.test(word), word);
      }
    } catch (error) {
      assert(error instanceof CrateError && error.message.startsWith("vars:"), String(error));
    }
  }));
});
