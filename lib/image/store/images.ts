import { CrateError } from "../../errors.ts";
import {
  chainIds,
  isIndexType,
  parseImageConfig,
  parseIndex,
  parseManifest,
} from "../documents/mod.ts";
import { formatPlatform, hostPlatform, selectPlatform } from "../names/mod.ts";
import type { Descriptor, Digest, ImageConfig, Platform } from "../types.ts";
import { hasBlob, readDocument } from "./blobs.ts";
import { type Entry, named, readIndex } from "./index.ts";
import { findLayer } from "./layers.ts";
import type { Paths } from "./layout.ts";

/** An image in the store. */
export interface Image {
  /** What docker calls its ID: the configuration's digest (of an image that cannot be read, its document's). */
  readonly id: Digest;
  /** Canonical references, `docker.io/library/alpine:latest`; an image may have none. */
  readonly names: readonly string[];
  /** The document that the names lead to: a manifest, or an index of several platforms. */
  readonly descriptor: Descriptor;
  /** What is wrong with it, when it cannot be read; what follows is missing then. */
  readonly problem?: CrateError;
  /** What can be read of it. */
  readonly content?: ImageContent;
}

/** What an image has for one platform. */
export interface ImageContent {
  readonly manifest: Descriptor;
  readonly configDescriptor: Descriptor;
  readonly config: ImageConfig;
  /** The unpacked layers' names in the store, the lowest first. */
  readonly chainIds: readonly Digest[];
  /** The layers' blobs, the lowest first; `config.rootfs.diff_ids` goes along with them. */
  readonly layers: readonly Descriptor[];
  /** Bytes of its documents and layers as they came. */
  readonly compressed: number;
  /** Bytes of its unpacked layers; undefined when one of them is not unpacked. */
  readonly unpacked?: number;
}

/** How often a list is read again of which an image was removed meanwhile. */
const ATTEMPTS = 8;

/** The entries by the document that they lead to: an image and its names. */
export function groups(entries: readonly Entry[]): Entry[][] {
  const byDigest = new Map<Digest, Entry[]>();
  for (const entry of entries) {
    const { digest } = entry.descriptor;
    const group = byDigest.get(digest);
    if (group === undefined) byDigest.set(digest, [entry]);
    else group.push(entry);
  }
  return [...byDigest.values()];
}

/** Reads what entries of one document lead to. One that cannot be read has a problem instead. */
export function readImage(paths: Paths, group: readonly Entry[], platform?: Platform): Image {
  // By whichever name, it is one image.
  const { descriptor } = named(group[0]!, undefined);
  const names = group.flatMap(({ name }) => name ?? []).sort();
  const image = { id: descriptor.digest, names, descriptor };
  try {
    const source = names[0] ?? descriptor.digest;
    const content = readContent(paths, descriptor, source, platform);
    return { ...image, id: content.configDescriptor.digest, content };
  } catch (error) {
    if (error instanceof CrateError) return { ...image, problem: error };
    throw error;
  }
}

/** The content, or the sentence that says why there is none. @throws {CrateError} */
export function contentOf({ content, problem }: Image): ImageContent {
  if (content === undefined) throw problem;
  return content;
}

function readContent(
  paths: Paths,
  descriptor: Descriptor,
  source: string,
  platform?: Platform,
): ImageContent {
  const documents = [descriptor];
  let manifest = descriptor;
  // An index may lead to an index; index.md allows it and nobody has more than two.
  for (let depth = 0; isIndexType(manifest.mediaType); depth++) {
    if (depth === 4) throw new CrateError("INVALID", `${source} has an index in an index in an …`);
    const { manifests } = parseIndex(readDocument(paths, manifest), manifest.mediaType, source);
    manifest = choose(manifests.filter((one) => hasBlob(paths, one)), source, platform);
    documents.push(manifest);
  }
  const { config: configDescriptor, layers } = parseManifest(
    readDocument(paths, manifest),
    manifest.mediaType,
    source,
  );
  const config = parseImageConfig(readDocument(paths, configDescriptor), layers.length, source);
  if (platform !== undefined) checkPlatform(config, platform, source);
  const sizes = [...documents, configDescriptor, ...layers].map(({ size }) => size);
  const chain = chainIds(config.rootfs.diff_ids);
  const unpacked = chain.map((chainId) => findLayer(paths, chainId)?.size);
  return {
    manifest,
    configDescriptor,
    config,
    chainIds: chain,
    layers,
    compressed: sum(sizes),
    ...!unpacked.includes(undefined) && { unpacked: sum(unpacked as number[]) },
  };
}

/** Whether every manifest that a document leads to is in the store. @throws {CrateError} */
export function isWhole(paths: Paths, descriptor: Descriptor, depth = 0): boolean {
  if (!hasBlob(paths, descriptor) || depth > 4) return false;
  if (!isIndexType(descriptor.mediaType)) return true;
  const bytes = readDocument(paths, descriptor);
  const { manifests } = parseIndex(bytes, descriptor.mediaType, descriptor.digest);
  return manifests.every((inner) => isWhole(paths, inner, depth + 1));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

/** The manifest of the platform that was asked for; else this machine's, else whichever is there. */
function choose(there: readonly Descriptor[], source: string, platform?: Platform): Descriptor {
  if (there.length === 0) {
    throw new CrateError("NOT_FOUND", `no platform of ${source} is in the store: pull it again`);
  }
  if (platform !== undefined) return selectPlatform(there, platform, source);
  try {
    return selectPlatform(there, hostPlatform(), source);
  } catch (error) {
    if (error instanceof CrateError && error.code === "NOT_FOUND") return there[0]!;
    throw error;
  }
}

/** A single manifest has its platform in the configuration. */
function checkPlatform(config: ImageConfig, platform: Platform, source: string): void {
  const { os, architecture, variant } = config;
  const own = { os, architecture, ...variant && { variant } };
  // By the rules that choose in an index: one that would not be chosen there does not fit.
  const digest: Digest = `sha256:${"0".repeat(64)}`;
  try {
    selectPlatform([{ mediaType: "", digest, size: 0, platform: own }], platform, source);
  } catch (error) {
    if (!(error instanceof CrateError) || error.code !== "NOT_FOUND") throw error;
    throw new CrateError(
      "NOT_FOUND",
      `${source} is in the store for ${formatPlatform(own)}, not for ${formatPlatform(platform)}`,
      { cause: error },
    );
  }
}

/**
 * All images, those with names first, by name. Takes no lock: who removes an image meanwhile removes
 * it from the list as well, and the list is read again.
 *
 * @throws {CrateError}
 */
export function readImages(paths: Paths): Image[] {
  for (let attempt = 1;; attempt++) {
    const images = groups(readIndex(paths)).map((group) => readImage(paths, group));
    const gone = images.some(({ problem }) => problem?.code === "NOT_FOUND");
    if (!gone || attempt === ATTEMPTS || !hasChanged(paths, images)) return images.sort(byName);
  }
}

function hasChanged(paths: Paths, images: readonly Image[]): boolean {
  const now = new Set(readIndex(paths).map(({ descriptor }) => descriptor.digest));
  return images.some(({ descriptor, problem }) => problem && !now.has(descriptor.digest));
}

function byName(a: Image, b: Image): number {
  const [first, second] = [a, b].map(({ names }) => names[0]);
  if (first === undefined || second === undefined) {
    return Number(first === undefined) - Number(second === undefined);
  }
  return first < second ? -1 : 1;
}
