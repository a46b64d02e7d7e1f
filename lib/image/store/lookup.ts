import { CrateError } from "../../errors.ts";
import {
  DEFAULT_DOMAIN,
  digestHex,
  familiarReference,
  formatReference,
  isDigest,
  parseReference,
  quote,
  withDefaultTag,
} from "../names/mod.ts";
import type { Digest, Platform } from "../types.ts";
import { type Image, readImage, readImages } from "./images.ts";
import { readIndex } from "./index.ts";
import type { Paths } from "./layout.ts";

// A word means an image as docker reads it: a name first, then an ID, then the beginning of one.

/** An image and how the word meant it. */
export interface Found {
  readonly image: Image;
  /** The canonical name that the word is; undefined when it is a digest or an ID. */
  readonly name?: string;
}

/** The name as index.json has it: `docker.io/library/alpine:latest` for `alpine`. @throws {CrateError} */
export function canonicalName(word: string): string {
  return formatReference(withDefaultTag(parseReference(word)));
}

/** A canonical name as people say it; what is none stays as it is. */
export function familiar(name: string): string {
  try {
    return familiarReference(parseReference(name));
  } catch (error) {
    if (error instanceof CrateError) return name;
    throw error;
  }
}

/** What a word may be the beginning of: hexadecimal digits, with or without `sha256:`. */
const ID = /^(?:sha256:)?([0-9a-f]{1,64})$/;

/**
 * The image that a word means.
 *
 * @param platform which one, where the store has several of it.
 * @throws {CrateError} `NOT_FOUND`; `INVALID` when several IDs begin so, or the word is no name.
 */
export function findImage(paths: Paths, word: string, platform?: Platform): Found {
  return tryFind(paths, word, platform) ?? fail(word);
}

function fail(word: string): never {
  // What is no name was not meant as one.
  if (!ID.test(word)) canonicalName(word);
  const pull = ID.test(word) && word.length >= 12 ? "crate images shows all" : `crate pull ${word}`;
  throw new CrateError("NOT_FOUND", `image ${quote(word)} is not in the store: ${pull}`);
}

/** The same; undefined when there is none. @throws {CrateError} `INVALID` */
export function tryFind(paths: Paths, word: string, platform?: Platform): Found | undefined {
  return byName(paths, word, platform) ?? byId(paths, word, platform);
}

function byName(paths: Paths, word: string, platform?: Platform): Found | undefined {
  const entries = readIndex(paths);
  const inIndex = (digest: Digest, name?: string): Found | undefined => {
    const group = entries.filter(({ descriptor }) => descriptor.digest === digest);
    if (group.length === 0) return undefined;
    return { image: readImage(paths, group, platform), ...name !== undefined && { name } };
  };
  // As others have written it: `latest`.
  const plain = entries.find(({ name }) => name === word);
  if (plain !== undefined) return inIndex(plain.descriptor.digest, word);
  let reference;
  try {
    reference = withDefaultTag(parseReference(word));
  } catch (error) {
    if (error instanceof CrateError) return undefined;
    throw error;
  }
  const canonical = formatReference(reference);
  const entry = entries.find(({ name }) => name === canonical);
  if (entry !== undefined) return inIndex(entry.descriptor.digest, canonical);
  // With a digest, the digest decides.
  const byDigest = reference.digest && inIndex(reference.digest);
  if (byDigest !== undefined || reference.domain !== DEFAULT_DOMAIN) return byDigest;
  if (word.startsWith(`${DEFAULT_DOMAIN}/`)) return undefined;
  // As podman calls what it has built or imported, and finds it: it comes from no registry.
  const path = reference.path.replace(/^library\//, "");
  const local = formatReference({ ...reference, domain: "localhost", path });
  const own = entries.find(({ name }) => name === local);
  return own && inIndex(own.descriptor.digest, local);
}

function byId(paths: Paths, word: string, platform?: Platform): Found | undefined {
  const digits = ID.exec(word)?.[1];
  if (digits === undefined && !isDigest(word)) return undefined;
  const begins = (digest: Digest) =>
    digits === undefined ? digest === word : digestHex(digest).startsWith(digits);
  const found = readImages(paths).filter(({ id, descriptor, content }) =>
    begins(id) || begins(descriptor.digest) || content && begins(content.manifest.digest)
  );
  const ids = new Set(found.map(({ id }) => id));
  if (ids.size > 1) {
    const candidates = found.map(({ id, names }) =>
      [digestHex(id).slice(0, 12), ...names.slice(0, 1).map(familiar)].join(" ")
    );
    const some = candidates.slice(0, 10).join(", ");
    throw new CrateError(
      "INVALID",
      `${quote(word)} begins the IDs of ${ids.size} images: ${some}`,
    );
  }
  const [image] = found;
  if (image === undefined) return undefined;
  if (platform === undefined) return { image };
  const group = readIndex(paths).filter(({ descriptor }) =>
    descriptor.digest === image.descriptor.digest
  );
  return group.length === 0 ? undefined : { image: readImage(paths, group, platform) };
}
