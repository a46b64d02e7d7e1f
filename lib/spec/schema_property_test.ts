import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import { valuesOf } from "./_from_schema.ts";
import { places, replaced, written } from "./_places.ts";
import { FULL_SPEC, loadRuntimeSchema } from "./testing.ts";
import { validateSpec } from "./validate.ts";

// Configs that the runtime-spec's own schema describes, put before crate's validation: where the two differ, the
// difference stands here with its reason.

const schema = loadRuntimeSchema();
type Fields = Readonly<Record<string, unknown>>;
const FULL = schema.fullSpec as unknown as Fields;

/** Other systems' fields, and the command line that Windows has. */
const OTHERS = ["solaris", "windows", "vm", "zos", "freebsd", "commandLine"];

/** What crate refuses, and the schema does not: each rule as its sentence begins after the field, and its reason. */
const STRICTER: readonly (readonly [sentence: RegExp, why: string])[] = [
  [/ must not contain a NUL character/, "the kernel's strings end there"],
  [/ must be absolute/, "config.md says so in words"],
  [/^ociVersion must be a version 1/, "config.md: SemVer, and major versions do not mix"],
  [
    / must be a whole number/,
    "the kernel's range, or unlimited as -1, where the schema has a C type's",
  ],
  [/ must be a list like "0-3,7"/, "cpuset(7)"],
  [/ must be one of RLIMIT_/, "getrlimit(2) has these and no others"],
  [/ must be one of a, b, c/, "cgroup device rules have no unbuffered devices or pipes"],
  [/ must be a capability's name/, "capabilities(7)"],
  [/ must be of the letters of "rwm"/, "the devices controller"],
  [/ must be NAME=value/, "environ(7)"],
  [
    / must name (?:a command|a directory|a file(?!system)|a system call|a network device)/,
    "an empty name is none",
  ],
  [/ must name (?:a filesystem|what to bind)/, "nothing could be mounted"],
  [/ must be a directory's name/, "a class of service is a directory of resctrl"],
  [
    / needs an? (?:uts|mount|user|network|time|ipc) namespace|needs the \w+ namespace/,
    "it would be the host's",
  ],
  [/ names the \w+ namespace a second time/, "config-linux.md says so in words"],
  [/ belongs to no namespace| is not a kernel parameter's name/, "it would change the host"],
  [/ ends after 2\^32-1/, "user_namespaces(7)"],
  [/ must have both uidMappings and gidMappings/, "mount_setattr(2) takes a whole user namespace"],
  [/rrnoRet goes with SCMP_ACT_/, "libseccomp and the kernel have nowhere to put it"],
  [/ needs linux\.seccomp\.listenerPath/, "config-linux.md: metadata is for the listener"],
  [/swap (?:needs |\d+ counts memory too)/, "the kernel counts both together"],
  [/ is over the (?:quota|period)/, "sched-bwc: nothing can be saved up or run that is not there"],
  [/ must be (?:at least|from) \d+(?: to \d+)? microseconds/, "sched-bwc: the kernel's bounds"],
];

/** What the schema refuses, and crate does not: engines leave the file type's bits in a device's mode. */
const isWider = (field: string) => field.endsWith(".fileMode");

function refusal(document: unknown): string | undefined {
  try {
    validateSpec(document);
    return undefined;
  } catch (error) {
    assert(error instanceof CrateError && error.code === "INVALID", String(error));
    return error.message;
  }
}

interface Graft {
  readonly field: string;
  readonly document: Fields;
}

const values = valuesOf(schema.files);

/** The fields below a place of the schema, each drawn by itself and put into the config with every field. */
function graftsBelow(reference: string, key?: string): fc.Arbitrary<Graft>[] {
  const [file, pointer = ""] = reference.split("#");
  let part: unknown = schema.files.get(file!);
  for (const step of pointer.split("/").slice(1)) part = (part as Fields)[step];
  return Object.keys((part as { properties: Fields }).properties)
    .filter((name) => !OTHERS.includes(name) && name !== "process" && name !== "linux")
    .map((name) =>
      values(`${file}#${pointer}/properties/${name}`).map((value) => ({
        field: key === undefined ? name : `${key}.${name}`,
        document: key === undefined
          ? { ...FULL, [name]: value }
          : { ...FULL, [key]: { ...FULL[key] as Fields, [name]: value } },
      }))
    );
}

/** The config with every field, one of which is another that the schema describes. */
const grafts = fc.oneof(
  ...graftsBelow("config-schema.json"),
  ...graftsBelow("config-schema.json#/properties/process", "process"),
  ...graftsBelow("config-linux.json#/linux", "linux"),
);

Deno.test("what the schema accepts is refused for a reason that stands here alone, and every reason is met", () => {
  const met = new Set<RegExp>();
  let accepted = 0;
  const numRuns = 10_000;
  // The same documents each time: whether all rules are met must not be a matter of luck.
  fc.assert(
    fc.property(grafts, ({ document, field }) => {
      assert(schema.validate(document), JSON.stringify(schema.validate.errors));
      const message = refusal(document);
      if (message === undefined) return void accepted++;
      const rules = STRICTER.filter(([sentence]) => sentence.test(message));
      assert.equal(rules.length, 1, message);
      const [sentence] = rules[0]!;
      met.add(sentence);
      // Other fields may need the namespaces that are gone.
      const isOthers = field === "linux.namespaces" && / needs /.test(message);
      assert(isOthers || message.startsWith(field), `${field}: ${message}`);
    }),
    { numRuns, seed: 20_251_104 },
  );
  // An older schema has not all of the fields.
  if (schema.fullSpec === FULL_SPEC) {
    assert.deepEqual(STRICTER.filter(([sentence]) => !met.has(sentence)), []);
  }
  assert(accepted > numRuns / 4, `${accepted} of ${numRuns} were accepted`);
});

/** A copy with another value at a random place inside; and the place. */
function broken(value: unknown, pick: () => number, wrong: unknown, path = ""): [unknown, string] {
  const isInside = typeof value === "object" && value !== null && Object.keys(value).length > 0;
  if (!isInside || path !== "" && pick() % 4 === 0) return [wrong, path];
  const keys = Object.keys(value);
  const key = keys[pick() % keys.length]!;
  const [inner, at] = broken((value as Fields)[key], pick, wrong, `${path}.${key}`);
  if (Array.isArray(value)) return [value.map((item, i) => String(i) === key ? inner : item), at];
  return [{ ...value, [key]: inner }, at];
}

Deno.test("what crate accepts the schema accepts, but for what stands here", () => {
  const wrong = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.integer({ min: -(2 ** 33), max: 2 ** 33 }),
    fc.constantFrom(2 ** 53, -1, 0.5, "", "x", [], {}, [[]], [""], { a: 1 }, true, null),
  );
  const picks = fc.infiniteStream(fc.nat(1000));
  let refused = 0;
  fc.assert(
    fc.property(grafts, wrong, picks, ({ document }, value, stream) => {
      const [changed, at] = broken(document, () => stream.next().value, value);
      if (schema.validate(changed)) return;
      if (refusal(changed) !== undefined) return void refused++;
      assert(isWider(at), `${at} = ${JSON.stringify(value)}: accepted by crate alone`);
    }),
    { numRuns: 6000, seed: 20_251_104 },
  );
  assert(refused > 2000, `${refused} were refused by both`);
});

Deno.test("a value of the right type that no kernel takes is refused in every field, by the field's name", () => {
  let tried = 0;
  for (const path of places(FULL_SPEC)) {
    const field = written(path);
    const value = path.reduce((part, key) => (part as Fields)[key], FULL_SPEC as unknown);
    const wrong = typeof value === "string"
      ? [`${value}\0`]
      : typeof value === "number"
      ? [0.5, 2 ** 70, -(2 ** 70), NaN]
      : typeof value === "boolean"
      ? ["true", 1]
      : [];
    for (const other of wrong) {
      const message = refusal(replaced(FULL_SPEC, path, other));
      assert(message !== undefined, `${field} = ${JSON.stringify(other)} is accepted`);
      // Names that the config's author has chosen stand in quotes.
      const plain = message.replace(/\["([^"]+)"\]/g, ".$1");
      assert(plain.startsWith(field), `${field}: ${message}`);
      tried++;
    }
  }
  assert(tried > 300, `${tried}`);
});
