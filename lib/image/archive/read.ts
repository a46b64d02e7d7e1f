import { CrateError } from "../../errors.ts";
import {
  checkDocument,
  digestOf,
  encodeDocument,
  Hasher,
  MAX_CONFIG,
  MAX_DOCUMENT,
  MAX_LAYERS,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
  parseImageConfig,
  parseIndex,
  Value,
} from "../documents/mod.ts";
import { formatReference, parseReference, withDefaultTag } from "../names/mod.ts";
import type { Descriptor, Digest, Document, ImageSource, Manifest } from "../types.ts";
import { sniff } from "../unpack/mod.ts";
import type { ArchiveFiles } from "./files.ts";

/** An image of an archive. */
export interface ArchiveImage {
  /** What it shall be called: canonical references; an image may have none. */
  readonly names: readonly string[];
  readonly source: ImageSource;
}

const MAX_IMAGES = 10_000;
/** docker's manifest.json, of many images. */
const MAX_LIST = 16 << 20;
/** Annotations with names: containerd's is a whole one, the image-spec's may be a tag alone. */
const NAMES = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/**
 * The images of an archive: an OCI layout, or what `docker save` writes. One that is both is taken as the
 * layout, whose documents keep their digests.
 *
 * @throws {CrateError} `INVALID`
 */
export function imagesOf(files: ArchiveFiles): ArchiveImage[] {
  if (files.has("oci-layout") && files.has("index.json")) return ociImages(files);
  if (files.has("manifest.json")) return dockerImages(files);
  throw new CrateError(
    "INVALID",
    `${files.name} is no archive of images: it has neither manifest.json nor oci-layout and index.json`,
  );
}

function ociImages(files: ArchiveFiles): ArchiveImage[] {
  const bytes = files.read("index.json", MAX_DOCUMENT);
  const { manifests } = parseIndex(bytes, OCI_INDEX, `${files.name}: index.json`);
  const byDigest = new Map<Digest, { descriptor: Descriptor; names: Set<string> }>();
  for (const descriptor of manifests) {
    const image = byDigest.get(descriptor.digest) ?? { descriptor, names: new Set() };
    byDigest.set(descriptor.digest, image);
    for (const annotation of NAMES) {
      const name = canonical(descriptor.annotations?.[annotation]);
      if (name === undefined) continue;
      image.names.add(name);
      break;
    }
  }
  return [...byDigest.values()].map(({ descriptor: { annotations: _, ...descriptor }, names }) => ({
    names: [...names],
    source: {
      name: [...names][0] ?? files.name,
      root: () => attempt(() => ({ descriptor, bytes: documentOf(files, descriptor) })),
      document: (inner) => attempt(() => documentOf(files, inner)),
      blob: (inner, options) => attempt(() => files.stream(blobPath(inner), options)),
    },
  }));
}

/** A whole name; a tag alone, as `skopeo copy … oci-archive:FILE:TAG` leaves, names nothing. */
function canonical(text: string | undefined): string | undefined {
  if (text === undefined || !/[/:]/.test(text)) return undefined;
  try {
    return formatReference(withDefaultTag(parseReference(text)));
  } catch (error) {
    if (error instanceof CrateError) return undefined;
    throw error;
  }
}

const blobPath = ({ digest }: Descriptor) => `blobs/${digest.replace(":", "/")}`;

function documentOf(files: ArchiveFiles, descriptor: Descriptor): Uint8Array<ArrayBuffer> {
  const path = blobPath(descriptor);
  const bytes = files.read(path, MAX_CONFIG);
  checkDocument(bytes, descriptor, `${files.name}: ${path}`);
  return bytes;
}

function attempt<T>(act: () => T): Promise<T> {
  try {
    return Promise.resolve(act());
  } catch (error) {
    return Promise.reject(error);
  }
}

function dockerImages(files: ArchiveFiles): ArchiveImage[] {
  const where = `${files.name}: manifest.json`;
  const list = Value.parse(files.read("manifest.json", MAX_LIST), MAX_LIST, where, "list");
  return list.list(MAX_IMAGES).map((value) => {
    const names = (value.optional("RepoTags")?.texts(MAX_IMAGES) ?? [])
      .map((name) => formatReference(withDefaultTag(parseReference(name))));
    const config = value.required("Config").text();
    const layers = value.optional("Layers")?.texts(MAX_LAYERS) ?? [];
    return { names, source: dockerSource(files, names[0] ?? files.name, config, layers) };
  });
}

/** docker's archives have no manifest: one is made, always the same of the same files. */
function dockerSource(
  files: ArchiveFiles,
  name: string,
  configPath: string,
  layerPaths: readonly string[],
): ImageSource {
  const paths = new Map<Digest, string>();
  const documents = new Map<Digest, Uint8Array<ArrayBuffer>>();
  let root: Promise<Document> | undefined;
  const make = async (): Promise<Document> => {
    const configBytes = files.read(configPath, MAX_CONFIG);
    const config = parseImageConfig(configBytes, layerPaths.length, `${files.name}: ${configPath}`);
    const layers: Descriptor[] = [];
    for (const [i, path] of layerPaths.entries()) {
      const layer = await layerOf(files, path, config.rootfs.diff_ids[i]!);
      paths.set(layer.digest, path);
      layers.push(layer);
    }
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: {
        mediaType: OCI_CONFIG,
        digest: digestOf(configBytes),
        size: configBytes.length,
      },
      layers,
    };
    const bytes = encodeDocument(manifest);
    documents.set(manifest.config.digest, configBytes);
    return {
      descriptor: { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length },
      bytes,
    };
  };
  return {
    name,
    root: () => root ??= make(),
    document({ digest }) {
      const bytes = documents.get(digest);
      if (bytes !== undefined) return Promise.resolve(bytes);
      return Promise.reject(new CrateError("INVALID", `${files.name} has no document ${digest}`));
    },
    blob: ({ digest }, options) => attempt(() => files.stream(paths.get(digest)!, options)),
  };
}

/** What is not compressed has its diffID as its digest; of what is, the digest must be made. */
async function layerOf(files: ArchiveFiles, path: string, diffId: Digest): Promise<Descriptor> {
  const size = files.size(path);
  const reader = files.stream(path).getReader();
  const { value = new Uint8Array(0) } = await reader.read();
  await reader.cancel();
  const compression = sniff(value);
  if (compression === "none") return { mediaType: OCI_LAYER, digest: diffId, size };
  const hash = new Hasher("sha256", size);
  for await (const bytes of files.stream(path)) hash.update(bytes);
  const mediaType = compression === "gzip" ? OCI_LAYER_GZIP : OCI_LAYER_ZSTD;
  return { mediaType, digest: await hash.digest(), size };
}
