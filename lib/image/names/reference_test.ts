import assert from "node:assert/strict";
import { CrateError } from "../../errors.ts";
import {
  familiarName,
  familiarReference,
  formatReference,
  parseReference,
  withDefaultTag,
} from "./reference.ts";

const HEX = "0123456789abcdef".repeat(4);
const SHA256 = `sha256:${HEX}`;
const SHA512 = `sha512:${HEX}${HEX}`;

/** What is written, what it means, and how people say it where that is not what is written. */
const GOOD: readonly (readonly [text: string, canonical: string, familiar?: string])[] = [
  ["alpine", "docker.io/library/alpine"],
  ["alpine:3.20", "docker.io/library/alpine:3.20"],
  ["library/alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"],
  ["docker.io/alpine", "docker.io/library/alpine", "alpine"],
  ["docker.io/library/alpine", "docker.io/library/alpine", "alpine"],
  ["index.docker.io/alpine", "docker.io/library/alpine", "alpine"],
  ["index.docker.io/user/tool", "docker.io/user/tool", "user/tool"],
  ["user/tool", "docker.io/user/tool"],
  ["library/a/b", "docker.io/library/a/b"],
  [`alpine@${SHA256}`, `docker.io/library/alpine@${SHA256}`],
  [`alpine@${SHA512}`, `docker.io/library/alpine@${SHA512}`],
  [`a/b:tag@${SHA256}`, `docker.io/a/b:tag@${SHA256}`],
  [`host:5000/a/b@${SHA256}`, `host:5000/a/b@${SHA256}`],
  ["localhost", "docker.io/library/localhost"],
  ["localhost/x", "localhost/x"],
  ["localhost:5000", "docker.io/library/localhost:5000"],
  ["localhost:5000/x", "localhost:5000/x"],
  ["localhost:5000/x:1", "localhost:5000/x:1"],
  ["127.0.0.1:5000/x", "127.0.0.1:5000/x"],
  ["[::1]:5000/x", "[::1]:5000/x"],
  ["[2001:db8::1]/x:t", "[2001:db8::1]/x:t"],
  ["quay.io/a/b/c/d", "quay.io/a/b/c/d"],
  ["Uppercase/x", "Uppercase/x"],
  ["EXAMPLE.com/x:Y", "EXAMPLE.com/x:Y"],
  ["xn--n3h.com/x", "xn--n3h.com/x"],
  ["a.b/c", "a.b/c"],
  ["docker.io/localhost/x", "docker.io/localhost/x", "docker.io/localhost/x"],
  ["docker.io/a.b/c", "docker.io/a.b/c", "docker.io/a.b/c"],
  [`library/${HEX}`, `docker.io/library/${HEX}`, `docker.io/library/${HEX}`],
  [`${HEX}:tag`, `docker.io/library/${HEX}:tag`, `docker.io/library/${HEX}:tag`],
  [HEX.slice(1), `docker.io/library/${HEX.slice(1)}`],
  ["a__b/c--d/e.f_g", "docker.io/a__b/c--d/e.f_g"],
  ["a-----b", "docker.io/library/a-----b"],
  ["x:_tag", "docker.io/library/x:_tag"],
  [`x:${"t".repeat(128)}`, `docker.io/library/x:${"t".repeat(128)}`],
  [`a.b/${"x".repeat(255)}`, `a.b/${"x".repeat(255)}`],
];

/** What is written, and words of the sentence that refuses it. */
const BAD: readonly (readonly [text: string, words: RegExp])[] = [
  ["", /is empty/],
  [HEX, /64 hexadecimal digits/],
  ["Alpine", /upper-case letters in its repository "Alpine": write "alpine"/],
  ["user/Tool:1", /upper-case letters in its repository "user\/Tool"/],
  ["a.b/C", /upper-case/],
  ["docker.io/", /has no repository/],
  ["localhost/", /has no repository/],
  [":tag", /has no repository/],
  [`@${SHA256}`, /has no repository/],
  ["a//b", /empty part/],
  ["a/", /empty part/],
  ["/a", /empty part/],
  ["alpine:", /without a tag/],
  [`x:${"t".repeat(129)}`, /tag of 129 characters: 128/],
  ["x:-tag", /has the tag "-tag"/],
  ["x:.tag", /has the tag ".tag"/],
  ["x:a:b", /has the tag "a:b"/],
  ["a/b:c/d", /has the tag "c\/d"/],
  ["x:a b", /has the tag "a b"/],
  [`a.b/${"x".repeat(256)}`, /repository of 256 characters: 255/],
  [`library/${"x".repeat(248)}`, /repository of 256 characters/],
  ["-a", /has "-a" in its repository/],
  ["a-", /has "a-" in its repository/],
  ["a..b", /has "a..b" in its repository/],
  ["a___b", /has "a___b" in its repository/],
  ["a._b", /has "a._b" in its repository/],
  ["../x", /has ".." for a registry/],
  ["a/../b", /has ".." in its repository/],
  ["-a.b/x", /has "-a.b" for a registry/],
  ["a.b:/x", /has "" for the registry's port/],
  ["a.b:http/x", /has "http" for the registry's port/],
  ["[::1/x", /for a registry/],
  ["https://docker.io/alpine", /begins with "https:\/\/": leave that out/],
  ["alpine@sha256:abc", /after the @: the digest "sha256:abc" has 3 characters .* where 64/],
  ["alpine@", /after the @: .* has no algorithm/],
  [`alpine@md5:${HEX}`, /of the algorithm "md5": crate knows sha256 and sha512/],
  [`alpine@sha256:${HEX.toUpperCase()}`, /other characters than 0-9 and a-f/],
  [`alpine@${SHA256}@${SHA256}`, /after the @/],
  [" alpine", /has " alpine" in its repository/],
  ["alpine\n", /has "alpine\\u\{a\}"/],
  ["älpine", /has "älpine" in its repository/],
  ["x".repeat(2000), /more than 1024 characters/],
];

Deno.test("a reference is read as Docker reads it", () => {
  for (const [text, canonical, familiar] of GOOD) {
    const reference = parseReference(text);
    assert.equal(formatReference(reference), canonical, text);
    assert.equal(familiarReference(reference), familiar ?? text, text);
    assert.deepEqual(parseReference(familiarReference(reference)), reference, text);
    assert.deepEqual(parseReference(canonical), reference, text);
  }
});

Deno.test("what is no reference is refused in one sentence that says why", () => {
  for (const [text, words] of BAD) {
    assert.throws(
      () => parseReference(text),
      (error) => {
        assert(error instanceof CrateError && error.code === "INVALID", text);
        assert.match(error.message, words, text);
        assert(!/[\n\r]/.test(error.message), text);
        return true;
      },
      text,
    );
  }
});

Deno.test("a reference is taken apart", () => {
  assert.deepEqual(parseReference(`host:5000/a/b:1@${SHA256}`), {
    domain: "host:5000",
    path: "a/b",
    tag: "1",
    digest: SHA256,
  });
  assert.equal(familiarName(parseReference("docker.io/library/alpine:3")), "alpine");
});

Deno.test("latest is the tag of a name that has neither tag nor digest", () => {
  const withTag = (text: string) => formatReference(withDefaultTag(parseReference(text)));
  assert.equal(withTag("alpine"), "docker.io/library/alpine:latest");
  assert.equal(withTag("alpine:3"), "docker.io/library/alpine:3");
  assert.equal(withTag(`alpine@${SHA256}`), `docker.io/library/alpine@${SHA256}`);
});
