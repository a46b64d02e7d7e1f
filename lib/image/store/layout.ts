import type { Digest } from "../types.ts";

// Where things lie below the store's directory:
//
//   oci-layout, index.json, blobs/<algorithm>/<hex>     an OCI image layout, as others read it too
//   crate/version          of what follows
//   crate/lock             the lock of the store's references; see lock.ts
//   crate/leases/<random>  what a command at work needs, a digest a line; locked while it lives
//   crate/partial/<alg>-<hex>  a blob that is on its way; locked while somebody works on it
//   crate/locks/<alg>-<hex>    a layer that is being unpacked; locked while somebody does
//   crate/layers/<alg>-<hex>   an unpacked layer's record, by its diffID: where, how large
//   crate/l/<short>        its tree. Names are short, since an overlay of 128 layers names 128
//   crate/pins/<sha256>-<id>   what a container needs, by its state directory
//   crate/containers/<random>  what a container writes: its overlay's upper and work, its volumes
//   crate/volumes/<name>   a volume; see volumes.ts
//   crate/reserve          some room, so that on a full disk something can still be removed
//   crate/tmp/<random>     files on their way to a name; trees on their way out
//
// A layer is there when its record is. A tree in l/ without a record belongs to whoever holds its
// lock (flock(2) on the directory), and to nobody when that is free.

/** The version of what lies in `crate/`. */
export const VERSION = 1;
/** Of the digests that blobs are named by. */
export const ALGORITHMS = ["sha256", "sha512"] as const;
/** image-layout.md, "oci-layout file" */
export const OCI_LAYOUT = '{"imageLayoutVersion":"1.0.0"}';
/** image-layout.md; the name of a reference, as annotations.md has it. */
export const REF_NAME = "org.opencontainers.image.ref.name";
/** What containerd calls a whole reference by; `ctr image import` reads it. */
export const CONTAINERD_NAME = "io.containerd.image.name";

/** The paths of a store. */
export interface Paths {
  readonly root: string;
  readonly ociLayout: string;
  readonly index: string;
  readonly blobs: string;
  readonly own: string;
  readonly version: string;
  readonly lock: string;
  readonly leases: string;
  readonly partial: string;
  readonly locks: string;
  readonly layers: string;
  readonly trees: string;
  readonly pins: string;
  readonly containers: string;
  readonly volumes: string;
  readonly reserve: string;
  readonly temporary: string;
}

/** The paths of the store in a directory. */
export function storePaths(root: string): Paths {
  const own = `${root}/crate`;
  return {
    root,
    ociLayout: `${root}/oci-layout`,
    index: `${root}/index.json`,
    blobs: `${root}/blobs`,
    own,
    version: `${own}/version`,
    lock: `${own}/lock`,
    leases: `${own}/leases`,
    partial: `${own}/partial`,
    locks: `${own}/locks`,
    layers: `${own}/layers`,
    trees: `${own}/l`,
    pins: `${own}/pins`,
    containers: `${own}/containers`,
    volumes: `${own}/volumes`,
    reserve: `${own}/reserve`,
    temporary: `${own}/tmp`,
  };
}

/** A digest as one file name: `sha256-…`. */
export function fileOf(digest: Digest): string {
  return digest.replace(":", "-");
}

/** The digest of such a file name; undefined for another's file. */
export function digestOf(name: string): Digest | undefined {
  return /^(?:sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128})$/.test(name)
    ? name.replace("-", ":") as Digest
    : undefined;
}

/** Where a blob lies: `blobs/sha256/…`. The digest's form must have been checked. */
export function blobPath(paths: Paths, digest: Digest): string {
  return `${paths.blobs}/${digest.replace(":", "/")}`;
}
