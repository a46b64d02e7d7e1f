import { S_IFMT, S_IFREG } from "../../../ffi/mod.ts";
import type { Digest } from "../types.ts";
import { storedContainers } from "./containers.ts";
import { namesIn, status } from "./disk.ts";
import { digestsOf } from "./garbage.ts";
import { isDigest } from "../names/mod.ts";
import { type Image, readImages } from "./images.ts";
import { blobPath, type Paths } from "./layout.ts";
import { listLayers } from "./layers.ts";
import { readPins } from "./pins.ts";
import { treeSize } from "./tree_size.ts";
import { listVolumes } from "./volumes.ts";

/** One row of `df`: docker's TOTAL, ACTIVE, SIZE and RECLAIMABLE. */
export interface UsageRow {
  readonly total: number;
  /** Used by a container. */
  readonly active: number;
  /** Bytes. */
  readonly size: number;
  /** Bytes that would be free if what is not active were removed. */
  readonly reclaimable: number;
}

/** What lies where on the disk. */
export interface DiskUsage {
  /** Images: their blobs and unpacked layers, what several share counted once. */
  readonly images: UsageRow;
  /** Unpacked layers, which are part of what the images have. */
  readonly layers: UsageRow;
  /** Blobs that came in part. */
  readonly partials: UsageRow;
  /** What the containers have written. */
  readonly containers: UsageRow;
  /** Volumes with names. */
  readonly volumes: UsageRow;
}

/**
 * What the store takes on the disk.
 *
 * @param isRunning whether the container of a state directory is.
 * @throws {CrateError}
 */
export function diskUsage(paths: Paths, isRunning: (directory: string) => boolean): DiskUsage {
  const pins = readPins(paths);
  const pinned = new Set<Digest>(pins.flatMap(({ digests }) => digests));
  const images = readImages(paths);
  const isActive = (image: Image) =>
    pins.some((pin) => pin.image === image.id || pin.digests.includes(image.descriptor.digest));
  const needed = new Set(pinned);
  for (const image of images.filter(isActive)) {
    for (const digest of digestsOf(paths, image)) needed.add(digest);
  }
  const layers = listLayers(paths).map(({ chainId, size }) => ({ digest: chainId, size }));
  const own = [...blobs(paths), ...layers];
  const layerRow = row(layers, needed);
  return {
    images: {
      ...row(own, needed),
      total: images.length,
      active: images.filter(isActive).length,
    },
    layers: layerRow,
    partials: row(partials(paths), new Set()),
    containers: containerRow(paths, isRunning),
    volumes: volumeRow(paths),
  };
}

function containerRow(paths: Paths, isRunning: (directory: string) => boolean): UsageRow {
  const stored = storedContainers(paths);
  const active = stored.filter(({ directory }) => directory !== undefined && isRunning(directory));
  const size = sum(stored);
  return {
    total: stored.length,
    active: active.length,
    size,
    reclaimable: size - sum(active),
  };
}

function volumeRow(paths: Paths): UsageRow {
  const volumes = listVolumes(paths).map(({ path, users }) => ({ size: treeSize(path), users }));
  const active = volumes.filter(({ users }) => users.length > 0);
  const size = sum(volumes);
  return { total: volumes.length, active: active.length, size, reclaimable: size - sum(active) };
}

interface Sized {
  readonly digest: Digest;
  readonly size: number;
}

function row(things: readonly Sized[], needed: ReadonlySet<Digest>): UsageRow {
  const active = things.filter(({ digest }) => needed.has(digest));
  const size = sum(things);
  return { total: things.length, active: active.length, size, reclaimable: size - sum(active) };
}

function sum(things: readonly { readonly size: number }[]): number {
  return things.reduce((total, { size }) => total + size, 0);
}

function blobs(paths: Paths): Sized[] {
  return namesIn(paths.blobs).flatMap((algorithm) =>
    namesIn(`${paths.blobs}/${algorithm}`).flatMap((hex) => {
      const digest = `${algorithm}:${hex}`;
      return isDigest(digest) ? sized(digest, blobPath(paths, digest)) : [];
    })
  );
}

function partials(paths: Paths): Sized[] {
  return namesIn(paths.partial).flatMap((name) => {
    const digest = name.replace("-", ":");
    return isDigest(digest) ? sized(digest, `${paths.partial}/${name}`) : [];
  });
}

function sized(digest: Digest, path: string): Sized[] {
  const found = status(path);
  const isFile = found !== undefined && (found.mode & S_IFMT) === S_IFREG;
  return isFile ? [{ digest, size: found.size }] : [];
}
