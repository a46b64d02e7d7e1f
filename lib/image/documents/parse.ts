import { CrateError } from "../../errors.ts";
import { isDigest, quote } from "../names/mod.ts";
import type { Descriptor, Digest, ImageConfig, Index, Manifest } from "../types.ts";
import { isIndexType, isManifestType } from "./media_types.ts";
import { Value } from "./value.ts";

/** The most bytes of a manifest or an index. */
export const MAX_DOCUMENT = 4 << 20;
/** The most bytes of an image's configuration. */
export const MAX_CONFIG = 8 << 20;
/** The most layers: overlayfs's own limit of lower directories. */
export const MAX_LAYERS = 500;
const MAX_MANIFESTS = 10_000;
const MAX_HISTORY = 10_000;

/**
 * Reads an index or a manifest, whichever its media type says.
 *
 * @param mediaType what led to it says it is: a descriptor's, or the Content-Type.
 * @param source for messages: `alpine`.
 * @throws {CrateError} `INVALID` naming the field; `UNSUPPORTED` for Docker's schema 1 and other types.
 */
export function parseDocument(
  bytes: Uint8Array,
  mediaType: string,
  source: string,
): { type: "index"; index: Index } | { type: "manifest"; manifest: Manifest } {
  if (isIndexType(mediaType)) return { type: "index", index: parseIndex(bytes, mediaType, source) };
  if (isManifestType(mediaType)) {
    return { type: "manifest", manifest: parseManifest(bytes, mediaType, source) };
  }
  if (/^application\/vnd\.docker\.distribution\.manifest\.v1\+/.test(mediaType)) {
    throw schema1(source);
  }
  throw new CrateError("UNSUPPORTED", `${source} is of the type ${quote(mediaType)}, not an image`);
}

function schema1(source: string): CrateError {
  return new CrateError(
    "UNSUPPORTED",
    `${source} is in Docker's schema 1, which is obsolete: push it again with a newer tool`,
  );
}

/** Reads an index (or Docker's manifest list). @throws {CrateError} as {@linkcode parseDocument} */
export function parseIndex(bytes: Uint8Array, mediaType: string, source: string): Index {
  const root = open(bytes, mediaType, `index of ${source}`);
  for (const field of ["config", "layers", "fsLayers"]) {
    if (root.has(field)) throw root.refuse(`has ${field} too: it is both an index and a manifest`);
  }
  const manifests = root.required("manifests").list(MAX_MANIFESTS).map(descriptor);
  return { schemaVersion: 2, mediaType, manifests, ...annotations(root) };
}

/** Reads a manifest. @throws {CrateError} as {@linkcode parseDocument} */
export function parseManifest(bytes: Uint8Array, mediaType: string, source: string): Manifest {
  const root = open(bytes, mediaType, `manifest of ${source}`);
  for (const field of ["manifests", "fsLayers"]) {
    if (root.has(field)) throw root.refuse(`has ${field} too: it is both an index and a manifest`);
  }
  const config = descriptor(root.required("config"));
  const layers = root.required("layers").list(MAX_LAYERS).map(descriptor);
  return { schemaVersion: 2, mediaType, config, layers, ...annotations(root) };
}

function open(bytes: Uint8Array, mediaType: string, source: string): Value {
  const root = Value.parse(bytes, MAX_DOCUMENT, source);
  const version = root.required("schemaVersion");
  if (version.raw === 1) throw schema1(source);
  if (version.raw !== 2) throw version.refuse("must be 2");
  const type = root.optional("mediaType")?.text();
  if (type !== undefined && type !== "" && type !== mediaType) {
    throw root.refuse(`says that it is ${quote(type)}, and what leads to it ${quote(mediaType)}`);
  }
  return root;
}

function descriptor(value: Value): Descriptor {
  const platform = value.optional("platform");
  const size = value.required("size");
  if (!Number.isSafeInteger(size.raw) || (size.raw as number) < 0) {
    throw size.refuse("must be a number of bytes");
  }
  const urls = value.optional("urls")?.texts(100);
  const artifactType = value.optional("artifactType")?.text();
  return {
    mediaType: value.required("mediaType").text(),
    digest: digest(value.required("digest")),
    size: size.raw as number,
    ...(urls && { urls }),
    ...annotations(value),
    ...(artifactType && { artifactType }),
    ...(platform && {
      platform: {
        os: platform.required("os").text(),
        architecture: platform.required("architecture").text(),
        ...strings(platform, ["variant", "os.version"]),
        ...lists(platform, ["os.features"]),
      },
    }),
  };
}

function digest(value: Value): Digest {
  if (isDigest(value.raw)) return value.raw;
  throw value.refuse("must be sha256: and 64 hexadecimal digits, or sha512: and 128");
}

function annotations(value: Value): { annotations?: Record<string, string> } {
  const map = value.optional("annotations")?.map();
  return map ? { annotations: map } : {};
}

function strings<K extends string>(value: Value, names: readonly K[]): { [N in K]?: string } {
  const result: { [N in K]?: string } = {};
  for (const name of names) {
    const text = value.optional(name)?.text();
    if (text) result[name] = text;
  }
  return result;
}

function lists<K extends string>(value: Value, names: readonly K[]): { [N in K]?: string[] } {
  const result: { [N in K]?: string[] } = {};
  for (const name of names) {
    const texts = value.optional(name)?.texts(MAX_HISTORY);
    if (texts) result[name] = texts;
  }
  return result;
}

/**
 * Reads an image's configuration. `null` stands for what is left out, as Docker writes it.
 *
 * @param layers how many layers the manifest has: so many diff IDs there must be.
 * @throws {CrateError} `INVALID` naming the field.
 */
export function parseImageConfig(bytes: Uint8Array, layers: number, source: string): ImageConfig {
  const root = Value.parse(bytes, MAX_CONFIG, `configuration of ${source}`);
  const rootfs = root.required("rootfs");
  if (rootfs.required("type").raw !== "layers") throw rootfs.refuse('.type must be "layers"');
  const diffIds = (rootfs.optional("diff_ids")?.list(MAX_LAYERS) ?? []).map(digest);
  if (diffIds.length !== layers) {
    throw rootfs.refuse(`has ${diffIds.length} diff_ids where the manifest has ${layers} layers`);
  }
  const config = root.optional("config");
  const health = config?.optional("Healthcheck");
  const history = root.optional("history")?.list(MAX_HISTORY).map((entry) => {
    const empty = entry.optional("empty_layer");
    if (empty && typeof empty.raw !== "boolean") throw empty.refuse("must be true or false");
    return {
      ...strings(entry, ["created", "created_by", "author", "comment"]),
      ...(empty?.raw === true && { empty_layer: true }),
    };
  });
  return {
    ...strings(root, ["created", "author"]),
    architecture: root.required("architecture").text(),
    os: root.required("os").text(),
    ...strings(root, ["variant"]),
    ...(config && {
      config: {
        ...strings(config, ["User", "WorkingDir", "StopSignal"]),
        ...lists(config, ["Env", "Entrypoint", "Cmd", "Shell", "OnBuild"]),
        ...sets(config, ["ExposedPorts", "Volumes"]),
        ...(config.optional("Labels") && { Labels: config.required("Labels").map() }),
        ...(health && {
          Healthcheck: {
            ...lists(health, ["Test"]),
            ...numbers(health, ["Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"]),
          },
        }),
      },
    }),
    rootfs: { type: "layers", diff_ids: diffIds },
    ...(history && { history }),
  };
}

function sets<K extends string>(value: Value, names: readonly K[]) {
  const result: { [N in K]?: Record<string, object> } = {};
  for (const name of names) {
    const keys = value.optional(name)?.keys();
    if (keys) result[name] = Object.fromEntries(keys.map((key) => [key, {}]));
  }
  return result;
}

function numbers<K extends string>(value: Value, names: readonly K[]): { [N in K]?: number } {
  const result: { [N in K]?: number } = {};
  for (const name of names) {
    const number = value.optional(name);
    if (number === undefined) continue;
    if (!Number.isFinite(number.raw)) throw number.refuse("must be a number");
    result[name] = number.raw as number;
  }
  return result;
}
