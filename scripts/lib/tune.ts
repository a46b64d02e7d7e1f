/**
 * Makes a bundled file start faster without changing what it does.
 *
 * - V8's code cache, as Deno fills it, holds only what is compiled when the module is loaded; a function
 *   is compiled when it is first called, in every process anew, unless it stands in parentheses, which
 *   V8 takes as the sign of a function that is called at once (v8.dev/blog/preparser, "PIFE"). So
 *   `function f() {…}` becomes `var f = (function() {…});`, moved to the top, where declarations act.
 *   Measured: 0.5 ms less for parsing a command line and validating a config.
 * - Deno reads and parses every file that a literal `import("./x.js")` names before it starts the
 *   program, called or not. A computed name is read when it is called. Measured: 0.3 ms less.
 *
 * @param text what `deno bundle` wrote: not minified, so that each top-level function begins and ends
 * at the start of a line.
 *
 * @example
 * ```ts
 * import { tune } from "./tune.ts";
 * const text = tune("f();\nfunction f() {\n  return 1;\n}\n");
 * if (text !== "var f = (function() {\n  return 1;\n});\nf();\n") throw new Error(text);
 * ```
 */
export function tune(text: string): string {
  const functions: string[] = [];
  const rest: string[] = [];
  const lines = text.split("\n");
  for (let at = 0; at < lines.length;) {
    const head = /^((?:async )?function\*?) ([\w$]+)(?=\()/.exec(lines[at]!);
    const end = head === null ? undefined : functionEnd(lines, at);
    if (head === null || end === undefined) {
      rest.push(lines[at++]!);
    } else {
      const text = lines.slice(at, end).join("\n").slice(head[0].length);
      functions.push(`var ${head[2]} = (${head[1]}${text});`);
      at = end;
    }
  }
  const imports = /\bimport\("(\.\/[\w.-]+)"\)/g;
  return [...functions, ...rest].join("\n").replace(imports, `import((0, "$1"))`);
}

/** The line after the function's last one: the first closing brace with which its text parses. */
function functionEnd(lines: string[], start: number): number | undefined {
  for (let end = start; end < lines.length; end++) {
    if (end === start ? !lines[end]!.endsWith("}") : lines[end] !== "}") continue;
    if (isExpression(lines.slice(start, end + 1).join("\n"))) return end + 1;
  }
}

function isExpression(text: string): boolean {
  try {
    // Compiled, never called: a text that is cut too early, or uses `import.meta`, does not compile.
    new Function(`"use strict"; return (${text}\n)`);
    return true;
  } catch {
    return false;
  }
}
