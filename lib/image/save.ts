import { CrateError } from "../errors.ts";
import { type ArchiveFormat, type SavedImage, writeArchive } from "./archive/mod.ts";
import { fetchMissing } from "./layers.ts";
import { contentOf, type Found, type Store } from "./store/mod.ts";
import type { Platform } from "./types.ts";

/** How images are saved. */
export interface SaveOptions {
  readonly format: ArchiveFormat;
  /** Of an image for several machines, that one. Default: all that are there; of docker-archive this machine's. */
  readonly platform?: Platform;
  /** Takes the next bytes of the archive. */
  readonly write: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly signal?: AbortSignal;
}

/**
 * Writes images of the store as one archive.
 *
 * @param words names and ids; those of one image are saved together.
 * @throws {CrateError} `NOT_FOUND`
 */
export async function saveImages(
  store: Store,
  words: readonly string[],
  { format, platform, write, signal }: SaveOptions,
): Promise<void> {
  const choice = platform === undefined ? {} : { platform };
  const byManifest = new Map<string, { found: Found; names: string[] }>();
  for (const word of words) {
    const found = store.find(word, choice);
    const { digest } = contentOf(found.image).manifest;
    const image = byManifest.get(digest) ?? { found, names: [] };
    byManifest.set(digest, image);
    const { name } = found;
    if (name !== undefined && !image.names.includes(name)) image.names.push(name);
  }
  using lease = await store.lease(signal);
  const images: SavedImage[] = [];
  for (const { found: { image }, names } of byManifest.values()) {
    await lease.hold(store.digests(image));
    const source = store.source(image.descriptor.digest);
    const { manifest } = contentOf(image);
    if (format === "oci-archive") {
      const isAll = platform === undefined && store.isWhole(image);
      images.push({ source, names, ...!isAll && { manifest } });
      continue;
    }
    // A header tells a file's size before its content.
    await fetchMissing(store, image);
    const sizes = contentOf(image).chainIds.map((id) => {
      const layer = store.layer(id);
      if (layer !== undefined) return layer.size;
      throw new CrateError(
        "NOT_FOUND",
        `a layer of ${names[0] ?? image.id} was removed: pull it again`,
      );
    });
    images.push({ source, names, manifest, sizes });
  }
  await writeArchive(images, { format, write, ...signal && { signal } });
}
