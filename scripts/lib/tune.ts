import { type AnyNode, type Node, parse } from "acorn";

/**
 * Makes a bundled file start faster without changing what it does.
 *
 * - V8's code cache, as Deno fills it, holds only what is compiled when the module is loaded; a function
 *   is compiled when it is first called, in every process anew, unless it stands in parentheses, which
 *   V8 takes as the sign of a function that is called at once (v8.dev/blog/preparser, "PIFE"). So each
 *   function expression is put in parentheses, and `function f() {…}` becomes `var f = (function() {…});`
 *   at the top, where declarations act. Measured: 6 of 25 ms less for `crate run /bin/true`.
 * - Deno reads and parses every file that a literal `import("./x.js")` names before it starts the
 *   program, called or not. A computed name is read when it is called. Measured: 0.3 ms less.
 *
 * @param text what `deno bundle` wrote
 *
 * @example
 * ```ts
 * import { tune } from "./tune.ts";
 * const text = tune("g(() => f());\nfunction f() {}\n");
 * if (text !== "var f = (function() {});\ng((() => f()));\n\n") throw new Error(text);
 * ```
 */
export function tune(text: string): string {
  const tree = parse(text, { ecmaVersion: "latest", sourceType: "module" });
  const edits: Edit[] = [];
  visit(tree, (node) => {
    if (node.type === "ArrowFunctionExpression" || node.type === "FunctionExpression") {
      edits.push([node.start, "("], [node.end, ")"]);
    } else if (node.type === "ImportExpression" && node.source.type === "Literal") {
      edits.push([node.source.start, "(0, "], [node.source.end, ")"]);
    }
  });
  edits.sort(([a], [b]) => a - b);
  const edited = (start: number, end: number) => {
    let result = "";
    let at = start;
    for (const [position, insert] of edits) {
      if (position < start || position >= end) continue;
      result += text.slice(at, position) + insert;
      at = position;
    }
    return result + text.slice(at, end);
  };
  let functions = "";
  let rest = "";
  let at = 0;
  for (const node of tree.body) {
    if (node.type !== "FunctionDeclaration") continue;
    const { id, start, end, async, generator } = node;
    const head = `${async ? "async " : ""}function${generator ? "*" : ""}`;
    functions += `var ${id.name} = (${head}${edited(id.end, end)});\n`;
    rest += edited(at, start);
    at = end;
  }
  return functions + rest + edited(at, text.length);
}

/** Where to insert what. */
type Edit = readonly [position: number, insert: string];

/** Calls back for a node and all below it, but for the function that a method is: it has no such form. */
function visit(node: Node, callback: (node: AnyNode) => void, isMethod = false): void {
  if (!isMethod) callback(node as AnyNode);
  const { method = false, kind = "init" } = node as { method?: boolean; kind?: string };
  const hasMethod = node.type === "MethodDefinition" ||
    node.type === "Property" && (method || kind !== "init");
  for (const [key, value] of Object.entries(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child?.type === "string") visit(child, callback, hasMethod && key === "value");
    }
  }
}
