import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../../errors.ts";
import { familiarReference, formatReference, parseReference, type Reference } from "./reference.ts";

const CASES = 100_000;

/** A string of 1 to `most` of these characters. */
function text(characters: string, most: number): fc.Arbitrary<string> {
  const unit = fc.constantFrom(...characters);
  return fc.string({ unit, minLength: 1, maxLength: most });
}

const LOWER = "abcxyz0189";
const component = fc.tuple(
  text(LOWER, 5),
  fc.constantFrom("", ".0", "_a", "__b", "-c", "---d"),
).map((parts) => parts.join(""));
const host = fc.oneof(
  fc.constantFrom("docker.io", "localhost", "[::1]", "127.0.0.1", "Host", "a-b.example.com"),
  text(LOWER, 6).map((name) => `${name}.io`),
);
const domain = fc.tuple(host, fc.constantFrom("", "", ":0", ":5000")).map((parts) =>
  parts.join("")
);
const digest = fc.constantFrom(64, 128).chain((length) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length })
    .map((hex) => `${length === 64 ? "sha256" as const : "sha512" as const}:${hex}` as const)
);
const path = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const reference: fc.Arbitrary<Reference> = fc.record({
  domain,
  path,
  tag: fc.tuple(text("_aZ09", 1), text("_aZ09.-", 12)).map((parts) => parts.join("")),
  digest,
}, { requiredKeys: ["domain", "path"] })
  // On Docker Hub a single word is of the official images.
  .map((made) =>
    made.domain === "docker.io" && !made.path.includes("/")
      ? { ...made, path: `library/${made.path}` }
      : made
  );

Deno.test("a reference that is written, whole or as people say it, is read as itself", () => {
  fc.assert(
    fc.property(reference, (reference) => {
      assert.deepEqual(parseReference(formatReference(reference)), { ...reference });
      assert.deepEqual(parseReference(familiarReference(reference)), { ...reference });
    }),
    { numRuns: CASES / 10 },
  );
});

/** Docker's own grammar in one piece, as the reference's documentation states it: the other opinion. */
const DOCKER = new RegExp(
  "^(?:(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])" +
    "(?:\\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?/)" +
    "(?<path>[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*)*)" +
    "(?::\\w[\\w.-]{0,127})?(?:@(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?$",
);

const HEX = "0123456789abcdef".repeat(4);
const piece = fc.constantFrom(
  ..."aZ09._-/:@[] \n",
  "localhost",
  "docker.io",
  "index.docker.io",
  "library/",
  "sha256:",
  "__",
  "é",
  `sha256:${HEX}`,
  HEX,
  "\u0000",
  "\ud800",
);
const garbage = fc.oneof(
  { weight: 8, arbitrary: fc.array(piece, { maxLength: 10 }).map((parts) => parts.join("")) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
  { weight: 1, arbitrary: text("a-._/:", 300) },
);

Deno.test("any text is a reference that Docker's grammar knows, or is refused in a sentence", () => {
  fc.assert(
    fc.property(garbage, (text) => {
      let read: Reference;
      try {
        read = parseReference(text);
      } catch (error) {
        assert(error instanceof CrateError && error.code === "INVALID");
        assert(!/\p{Cc}/u.test(error.message));
        assert(!docker(text), `${JSON.stringify(text)} is a reference to Docker`);
        return;
      }
      assert(docker(text), `${JSON.stringify(text)} is none to Docker`);
      assert.deepEqual(parseReference(formatReference(read)), read);
      assert.deepEqual(parseReference(familiarReference(read)), read);
    }),
    { numRuns: CASES },
  );
});

/** Whether Docker takes it: the name made whole by its rule for domains, then its grammar. */
function docker(text: string): boolean {
  if (/^[a-f0-9]{64}$/.test(text)) return false;
  const [first, ...rest] = text.split("/");
  const isDomain = rest.length > 0 && (/[.:A-Z]/.test(first!) || first === "localhost");
  let whole = isDomain ? text : `docker.io/${text}`;
  whole = whole.replace(/^index\.docker\.io\//, "docker.io/");
  whole = whole.replace(/^docker\.io\/([^/]*)$/, "docker.io/library/$1");
  const path = DOCKER.exec(whole)?.groups?.path;
  return path !== undefined && path.length <= 255;
}
