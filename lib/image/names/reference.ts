import { CrateError } from "../../errors.ts";
import type { Digest } from "../types.ts";
import { parseDigest } from "./digest.ts";
import { quote } from "./quote.ts";

/**
 * An image's name, taken apart. It is of one of the forms `domain/path`, `domain/path:tag`, `domain/path@digest`,
 * `domain/path:tag@digest`; with both, the digest decides and the tag is for the reader.
 */
export interface Reference {
  /** The registry: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly domain: string;
  /** The repository there: `library/alpine`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

/** The registry of a name that has none. */
export const DEFAULT_DOMAIN = "docker.io";
/** The tag of a name that has neither tag nor digest. */
export const DEFAULT_TAG = "latest";
/** The most characters of a repository's path. */
export const MAX_PATH = 255;
/** The most characters of a tag. */
export const MAX_TAG = 128;

const LEGACY_DOMAIN = "index.docker.io";
const OFFICIAL = "library/";
/** More than any reference with a host name that DNS can have: 255 + 6, 255, 128 and 135 characters. */
const MAX_REFERENCE = 1024;

// The grammar of https://github.com/distribution/reference. A text is bounded before it meets these.
const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])$`);
const PORT = /^[0-9]+$/;
const PATH_COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$/;
const IDENTIFIER = /^[a-f0-9]{64}$/;

/**
 * Reads an image's name exactly as Docker does: `alpine` is `docker.io/library/alpine`. What stands before the first
 * slash is a registry when it has a `.`, a `:` or an upper-case letter in it, or is `localhost`.
 *
 * No tag is added: {@linkcode withDefaultTag} does that.
 *
 * @throws {CrateError} `INVALID`: one sentence that says what is wrong, and what would be right.
 *
 * @example
 * ```ts
 * import { formatReference, parseReference } from "./reference.ts";
 * const reference = parseReference("localhost:5000/tools/jq:1.7");
 * if (reference.domain !== "localhost:5000" || reference.path !== "tools/jq") throw new Error();
 * if (formatReference(parseReference("alpine")) !== "docker.io/library/alpine") throw new Error();
 * ```
 *
 * @see https://github.com/distribution/reference
 */
export function parseReference(text: string): Reference {
  const refuse = (why: string) => new CrateError("INVALID", `the image name ${quote(text)} ${why}`);
  if (text === "") {
    throw refuse("is empty: it must be like alpine or docker.io/library/alpine:latest");
  }
  if (text.length > MAX_REFERENCE) throw refuse(`has more than ${MAX_REFERENCE} characters`);
  if (IDENTIFIER.test(text)) {
    throw refuse("is 64 hexadecimal digits, which only an image's ID may be");
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw refuse(`begins with ${quote(text.slice(0, text.indexOf("/") + 2))}: leave that out`);
  }

  const { domain, rest } = splitDomain(text);
  const at = rest.indexOf("@");
  const named = at < 0 ? rest : rest.slice(0, at);
  const colon = named.indexOf(":");
  const path = colon < 0 ? named : named.slice(0, colon);

  checkDomain(domain, refuse);
  checkPath(path, refuse);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (tag !== undefined) checkTag(tag, refuse);
  let digest: Digest | undefined;
  if (at >= 0) {
    try {
      digest = parseDigest(rest.slice(at + 1));
    } catch (error) {
      if (error instanceof CrateError) throw refuse(`is wrong after the @: ${error.message}`);
      throw error;
    }
  }
  return {
    domain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

type Refuse = (why: string) => CrateError;

function splitDomain(text: string): { domain: string; rest: string } {
  const slash = text.indexOf("/");
  if (slash < 0) return { domain: DEFAULT_DOMAIN, rest: OFFICIAL + text };
  const first = text.slice(0, slash);
  let domain = DEFAULT_DOMAIN;
  let rest = text;
  if (first === "localhost" || /[.:]/.test(first) || first.toLowerCase() !== first) {
    domain = first === LEGACY_DOMAIN ? DEFAULT_DOMAIN : first;
    rest = text.slice(slash + 1);
  }
  if (domain === DEFAULT_DOMAIN && !rest.includes("/")) rest = OFFICIAL + rest;
  return { domain, rest };
}

function checkDomain(domain: string, refuse: Refuse): void {
  const colon = domain.indexOf(":", domain.lastIndexOf("]") + 1);
  const host = colon < 0 ? domain : domain.slice(0, colon);
  if (!HOST.test(host)) {
    throw refuse(
      `has ${quote(host)} for a registry: a host's name has letters, digits, "-" and "." only`,
    );
  }
  if (colon >= 0 && !PORT.test(domain.slice(colon + 1))) {
    throw refuse(
      `has ${quote(domain.slice(colon + 1))} for the registry's port: it must be a number`,
    );
  }
}

function checkPath(path: string, refuse: Refuse): void {
  if (path === "" || path === OFFICIAL) throw refuse("has no repository: it must be like alpine");
  if (path.toLowerCase() !== path) {
    // What crate put in front itself is not what was written.
    const written = path.startsWith(OFFICIAL) ? path.slice(OFFICIAL.length) : path;
    throw refuse(
      `has upper-case letters in its repository ${quote(written)}: write ${
        quote(written.toLowerCase())
      }`,
    );
  }
  if (path.length > MAX_PATH) {
    throw refuse(`has a repository of ${path.length} characters: ${MAX_PATH} are the most`);
  }
  for (const component of path.split("/")) {
    if (PATH_COMPONENT.test(component)) continue;
    if (component === "") {
      throw refuse("has an empty part in its repository: two slashes, or one at the end");
    }
    throw refuse(
      `has ${
        quote(component)
      } in its repository: a part is a-z and 0-9, with single ".", "_", "__" or "-" between`,
    );
  }
}

function checkTag(tag: string, refuse: Refuse): void {
  if (TAG.test(tag)) return;
  if (tag === "") throw refuse('ends its repository in ":" without a tag: write one, or no ":"');
  if (tag.length > MAX_TAG) {
    throw refuse(`has a tag of ${tag.length} characters: ${MAX_TAG} are the most`);
  }
  throw refuse(
    `has the tag ${
      quote(tag)
    }: a tag is letters, digits, "_", "." and "-", and begins with none of the last two`,
  );
}

/** Whether a registry may have a tag of this name. */
export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** The registry and repository: `docker.io/library/alpine`. */
export function repositoryName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/**
 * The whole name, which reads the same everywhere: `docker.io/library/alpine:latest`.
 * {@linkcode parseReference} of it is the reference again.
 */
export function formatReference(reference: Reference): string {
  return repositoryName(reference) + suffix(reference);
}

/**
 * The repository as people say it: `alpine`, `user/tool`, `quay.io/a/b`. The registry stays where the name would
 * be read otherwise without it (`docker.io/localhost/x`).
 */
export function familiarName(reference: Reference): string {
  if (reference.domain !== DEFAULT_DOMAIN) return repositoryName(reference);
  const { path } = reference;
  const last = path.slice(OFFICIAL.length);
  const short = path.startsWith(OFFICIAL) && !last.includes("/") ? last : path;
  const { domain, rest } = splitDomain(short);
  if (domain !== DEFAULT_DOMAIN || rest !== path || IDENTIFIER.test(short)) {
    return repositoryName(reference);
  }
  return short;
}

/** The whole name as people say it: `alpine:3.20`. */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? "" : `:${tag}`) + (digest === undefined ? "" : `@${digest}`);
}

/**
 * The reference with the tag `latest` where it has neither a tag nor a digest.
 *
 * @example
 * ```ts
 * import { formatReference, parseReference, withDefaultTag } from "./reference.ts";
 * const reference = withDefaultTag(parseReference("alpine"));
 * if (formatReference(reference) !== "docker.io/library/alpine:latest") throw new Error();
 * ```
 */
export function withDefaultTag(reference: Reference): Reference {
  if (reference.tag !== undefined || reference.digest !== undefined) return reference;
  return { ...reference, tag: DEFAULT_TAG };
}
