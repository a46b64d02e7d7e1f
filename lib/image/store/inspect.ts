import { familiarName, familiarReference, parseReference } from "../names/mod.ts";
import type { Digest, HistoryEntry } from "../types.ts";
import { contentOf, type Image } from "./images.ts";
import { findLayer } from "./layers.ts";
import type { Paths } from "./layout.ts";
import { familiar } from "./lookup.ts";

/** A line of `history`, the newest step first. */
export interface HistoryLine {
  /** The image's ID on its newest step; docker knows the others no more either. */
  readonly id?: Digest;
  readonly created?: string;
  readonly createdBy: string;
  /** Bytes: of the unpacked layer, or of its blob when it is not unpacked; 0 for a step without one. */
  readonly size: number;
  readonly comment: string;
}

/** How an image came to be. @throws {CrateError} the image's problem */
export function historyOf(paths: Paths, image: Image): HistoryLine[] {
  const { config, layers, chainIds } = contentOf(image);
  let next = 0;
  const size = () => {
    const at = next++;
    const chainId = chainIds[at];
    return (chainId && findLayer(paths, chainId)?.size) ?? layers[at]?.size ?? 0;
  };
  const line = (entry: HistoryEntry, bytes: number): HistoryLine => ({
    ...entry.created !== undefined && { created: entry.created },
    createdBy: entry.created_by ?? "",
    size: bytes,
    comment: entry.comment ?? "",
  });
  const lines = (config.history ?? []).map((entry) => line(entry, entry.empty_layer ? 0 : size()));
  // A configuration need not tell of its layers.
  while (next < chainIds.length) lines.push(line({}, size()));
  const newest = lines.pop();
  return newest === undefined ? [] : [{ id: image.id, ...newest }, ...lines.reverse()];
}

/** An image as `docker image inspect` shows one. */
export interface ImageInspection {
  readonly Id: Digest;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  readonly Comment: string;
  readonly Created?: string;
  readonly Author: string;
  readonly Config: object;
  readonly Architecture: string;
  readonly Variant?: string;
  readonly Os: string;
  /** Bytes: of the unpacked layers, or of the blobs when they are not unpacked. */
  readonly Size: number;
  readonly RootFS: { readonly Type: "layers"; readonly Layers: readonly Digest[] };
  /** What the names lead to, and the platform's manifest. */
  readonly Descriptor: object;
  readonly Manifest: object;
}

/** What `image inspect` shows. @throws {CrateError} the image's problem */
export function inspectionOf(image: Image): ImageInspection {
  const { config, manifest, compressed, unpacked } = contentOf(image);
  const { created, author, architecture, variant, os, history } = config;
  const references = image.names.flatMap((name) => {
    try {
      return [parseReference(name)];
    } catch {
      // A name that others have given and that is none of docker's: shown as it is, below.
      return [];
    }
  });
  const plain = references.length === 0 ? image.names.map(familiar) : [];
  const digests = references.map((one) => `${familiarName(one)}@${image.descriptor.digest}`);
  return {
    Id: image.id,
    RepoTags: [
      ...references.filter(({ tag }) => tag !== undefined)
        .map(({ digest: _, ...tagged }) => familiarReference(tagged)),
      ...plain,
    ],
    RepoDigests: [...new Set(digests)],
    Comment: history?.at(-1)?.comment ?? "",
    ...created !== undefined && { Created: created },
    Author: author ?? "",
    Config: config.config ?? {},
    Architecture: architecture,
    ...variant !== undefined && { Variant: variant },
    Os: os,
    Size: unpacked ?? compressed,
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Descriptor: image.descriptor,
    Manifest: manifest,
  };
}
