// What the schema's tests share: documents of any kind that a JSON schema describes, as fast-check draws them.
import fc from "fast-check";
import type { Schema } from "./testing.ts";

/** The largest whole number that JSON's readers agree on. */
const EXACT = Number.MAX_SAFE_INTEGER;

/** Strings that patterns and rules of configs turn on. */
const STRINGS = [
  "",
  "/",
  "/a/b",
  "relative",
  "CAP_CHOWN",
  "CAP_NOPE",
  "RLIMIT_NOFILE",
  "NAME=value",
  "=",
  "rbind",
  "remount",
  "SCMP_ARCH_X86_64",
  "kernel.shmmax",
  "net.core.somaxconn",
  "vm.swappiness",
  "1.2.0",
  "0-3,7",
  "a\0b",
  "L3:0=f",
];
const TEXT = fc.oneof(fc.constantFrom(...STRINGS), fc.string({ maxLength: 12 }));
const KEYS = fc.oneof(
  fc.constantFrom("a", "net.core.somaxconn", "kernel.shmmax", "eth0", "2MB"),
  TEXT,
)
  .filter((key) => key !== "__proto__" && key !== "");

/**
 * What parts of a schema describe, each named by its file and place: `defs.json#/definitions/IDMapping`.
 *
 * @returns what gives the arbitrary of a part.
 */
export function valuesOf(
  files: ReadonlyMap<string, Schema>,
): (reference: string) => fc.Arbitrary<unknown> {
  const known = new Map<string, fc.Arbitrary<unknown>>();

  const resolve = (reference: string, from: string): fc.Arbitrary<unknown> => {
    const [name, pointer = ""] = reference.split("#");
    const target = name || from;
    const key = `${target}#${pointer}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    let part: unknown = files.get(target);
    for (const step of pointer.split("/").slice(1)) part = (part as Schema)[step];
    const made = arbitrary(part as Schema, target);
    known.set(key, made);
    return made;
  };

  const object = (schema: Schema, from: string): fc.Arbitrary<unknown> => {
    const { properties, required = [], additionalProperties, patternProperties } = schema;
    if (properties === undefined) {
      const values = typeof additionalProperties === "object"
        ? additionalProperties
        : Object.values(patternProperties ?? {})[0];
      if (values === undefined) return fc.constant({});
      return fc.dictionary(KEYS, arbitrary(values as Schema, from), { maxKeys: 3 })
        .map((fields) => ({ ...fields }));
    }
    const fields = Object.entries(properties as Schema)
      .map(([name, part]) => [name, arbitrary(part as Schema, from)] as const);
    return fc.record(Object.fromEntries(fields), { requiredKeys: required as string[] })
      .map((value) => ({ ...value }));
  };

  const arbitrary = (schema: Schema, from: string): fc.Arbitrary<unknown> => {
    if (typeof schema.$ref === "string") return resolve(schema.$ref, from);
    if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum as unknown[]);
    const alternatives = (schema.anyOf ?? schema.oneOf) as Schema[] | undefined;
    if (alternatives !== undefined) {
      return fc.oneof(...alternatives.map((each) => arbitrary(each, from)));
    }
    if (Array.isArray(schema.allOf)) {
      return fc.tuple(...(schema.allOf as Schema[]).map((each) => arbitrary(each, from)))
        .map((parts) => Object.assign({}, ...parts as object[]));
    }
    switch (schema.type) {
      case "object":
        return object(schema, from);
      case "array":
        return fc.array(arbitrary(schema.items as Schema, from), {
          minLength: (schema.minItems ?? 0) as number,
          maxLength: 3,
        });
      case "string":
        if (typeof schema.pattern !== "string") return TEXT;
        return fc.stringMatching(new RegExp(schema.pattern), { maxLength: 20 });
      case "boolean":
        return fc.boolean();
      case "integer":
      case "number": {
        const min = Math.max(Number(schema.minimum ?? -EXACT), -EXACT);
        const max = Math.min(Number(schema.maximum ?? EXACT), EXACT);
        const small = fc.integer({ min: Math.max(min, -1), max: Math.min(max, 100) });
        return fc.oneof(small, fc.integer({ min, max }), fc.constantFrom(min, max));
      }
      default:
        throw new Error(`a schema of no known kind: ${JSON.stringify(schema).slice(0, 100)}`);
    }
  };

  return (reference) => resolve(reference, "");
}
