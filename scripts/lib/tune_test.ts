import assert from "node:assert/strict";
import { tune } from "./tune.ts";

/** Runs a module's text, and returns what it exports as `result`. */
async function result(text: string): Promise<unknown> {
  return (await import(`data:text/javascript,${encodeURIComponent(text)}`)).result;
}

Deno.test("a tuned module does what it did: every form that a function can have", async () => {
  const text = `
const order = [first()];
function first() { return "declared"; }
async function later() { return (() => (value) => value)()("async"); }
function* each() { yield "yielded"; }
class Shape {
  field = () => this.name;
  static make(name) { return new Shape(name); }
  constructor(name) { this.#name = name; }
  #name;
  get name() { return this.#name; }
  set name(value) { this.#name = [value].map((word) => word + "!")[0]; }
  async *many() { yield this.name; }
  ["computed" + (() => 1)()]() { return "computed"; }
}
const object = { short() { return "short"; }, get got() { return "got"; }, plain: function () { return "plain"; } };
const named = () => {};
function reassigned() {}
reassigned = () => "reassigned";
const shape = Shape.make("a");
shape.name = "b";
for await (const name of shape.many()) order.push(name);
order.push(...each(), await later(), shape.field(), shape.computed1(), object.short(), object.got);
order.push(object.plain(), named.name, first.name, reassigned());
order.push(((a) => (b) => a + b)(1)(2), \`\${(() => "}\\n}")()}\`);
export { order as result };
`;
  const tuned = tune(text);
  assert.notEqual(tuned, text);
  assert.deepEqual(await result(tuned), await result(text));
});

Deno.test("a tuned module imports lazily by a name that is not a literal", () => {
  const text = 'const load = () => import("./run.js");\n';
  assert.equal(tune(text), 'const load = (() => import((0, "./run.js")));\n');
});

Deno.test("a text that is no module is refused, and not changed into another", () => {
  assert.throws(() => tune("function f( {"), SyntaxError);
});
