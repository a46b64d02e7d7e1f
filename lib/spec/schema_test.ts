import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import { places, replaced, written } from "./_places.ts";
import { LEAST_SPEC, loadRuntimeSchema, type Schema } from "./testing.ts";
import { validateSpec } from "./validate.ts";

const schema = loadRuntimeSchema();
// It may be another than one thinks, so the log says which.
console.log(`runtime-spec schema: ${schema.directory}`);

function refusal(document: unknown): string | undefined {
  try {
    validateSpec(document);
    return undefined;
  } catch (error) {
    assert(error instanceof CrateError && error.code === "INVALID", String(error));
    return error.message;
  }
}

Deno.test("a config with every field is valid, by the schema and by us", () => {
  assert(schema.validate(schema.fullSpec), JSON.stringify(schema.validate.errors));
  assert.equal(validateSpec(schema.fullSpec), schema.fullSpec);
  assert(schema.validate(LEAST_SPEC), JSON.stringify(schema.validate.errors));
  assert.equal(validateSpec(LEAST_SPEC), LEAST_SPEC);
});

Deno.test("the config with every field leaves out no field that the schema knows", () => {
  const known = new Set(
    places(schema.fullSpec).map((path) =>
      written(path).replace(/\[\d+\]/g, "[]").replace(/(\.rdma|\.netDevices)\.\w+/, "$1.*")
    ),
  );
  // Other systems' fields, and the command line that Windows has.
  const foreign = /^(?:solaris|windows|vm|zos|freebsd|process\.commandLine)/;
  const missing = schemaFields("config-schema.json", "")
    .filter((field) => !foreign.test(field) && !known.has(field));
  assert.deepEqual(missing, []);
});

/** The fields below a part of the schema: `process.rlimits[].soft`. */
function schemaFields(reference: string, field: string, from = ""): string[] {
  const [name, pointer = ""] = reference.split("#");
  const file = name || from;
  let part: unknown = schema.files.get(file);
  for (const key of pointer.split("/").slice(1)) part = (part as Schema)[key];
  return fieldsOf(part as Schema, field, file);
}

function fieldsOf(part: Schema, field: string, file: string): string[] {
  const found: string[] = [];
  if (typeof part.$ref === "string") found.push(...schemaFields(part.$ref, field, file));
  for (const list of [part.allOf, part.anyOf]) {
    for (const item of (list ?? []) as Schema[]) found.push(...fieldsOf(item, field, file));
  }
  for (const [key, value] of Object.entries(part.properties ?? {})) {
    const inside = field === "" ? key : `${field}.${key}`;
    found.push(inside, ...fieldsOf(value, inside, file));
  }
  if (part.items) found.push(...fieldsOf(part.items as Schema, `${field}[]`, file));
  if (typeof part.additionalProperties === "object") {
    found.push(...fieldsOf(part.additionalProperties as Schema, `${field}.*`, file));
  }
  return found;
}

Deno.test("a value of the wrong type is refused in every field, by the field's name", () => {
  for (const path of places(schema.fullSpec)) {
    // No field is a boolean in one place and a list of lists in another: one of the two is wrong.
    for (const wrong of [[[true]], { "": [] }]) {
      const document = replaced(schema.fullSpec, path, wrong);
      if (schema.validate(document)) continue;
      const message = refusal(document);
      assert(message !== undefined, `${written(path)} = ${JSON.stringify(wrong)} is accepted`);
      const name = written(path).replace(
        /\.(?:org\.example\.key|net\.core|kernel\.shm|mlx5|eth0|memory\.high).*/,
        "",
      );
      assert(message.startsWith(name), `${name}: ${message}`);
    }
  }
});

Deno.test("whatever the schema refuses, we refuse", () => {
  const everywhere = fc.constantFrom(...places(schema.fullSpec));
  const value = fc.oneof(
    fc.constant(undefined),
    fc.jsonValue({ maxDepth: 2 }),
    fc.integer({ min: -5, max: 2 ** 33 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(
      2 ** 31,
      2 ** 32,
      2 ** 63,
      2 ** 64,
      2 ** 65,
      -(2 ** 31),
      0.5,
      "",
      "-",
      "0-",
      "MB:",
    ),
  );
  fc.assert(
    fc.property(everywhere, value, (path, value) => {
      const document = replaced(schema.fullSpec, path, value);
      if (schema.validate(document)) return;
      // Wider on purpose: engines leave the file type's bits in a device's mode.
      if (path.at(-1) === "fileMode" && Number.isInteger(value) && Number(value) > 0o777) return;
      assert(refusal(document) !== undefined, `${written(path)} = ${JSON.stringify(value)}`);
    }),
    { numRuns: 5000 },
  );
});
