// What the store's tests share: images of a few bytes, and directories that go afterwards.
import assert from "node:assert/strict";
import {
  chainIds,
  digestOf,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
} from "../documents/mod.ts";
import type { Descriptor, Digest, Document, Platform } from "../types.ts";
import { type Lease, openStore, type Store } from "./mod.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** An image in memory. */
export interface TestImage {
  readonly root: Document;
  readonly config: Document;
  readonly layers: readonly Document[];
  readonly diffIds: readonly Digest[];
  readonly chainIds: readonly Digest[];
}

export function bytesOf(text: string): Bytes {
  return new TextEncoder().encode(text);
}

export function documentOf(bytes: Bytes, mediaType: string): Document {
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
}

/** An image with a layer for each text; the texts decide what it shares with others. */
export function imageOf(
  texts: readonly string[],
  platform: Platform = { os: "linux", architecture: "amd64" },
): TestImage {
  const json = (value: unknown, type: string) => documentOf(bytesOf(JSON.stringify(value)), type);
  const layers = texts.map((text) => documentOf(bytesOf(text), OCI_LAYER));
  const diffIds = layers.map(({ descriptor }) => descriptor.digest);
  const history = texts.map((text) => ({ created_by: `ADD ${text.slice(0, 20)}` }));
  const rootfs = { type: "layers", diff_ids: diffIds };
  const config = json({ ...platform, config: { Cmd: ["sh"] }, rootfs, history }, OCI_CONFIG);
  const root = json({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
  }, OCI_MANIFEST);
  return { root, config, layers, diffIds, chainIds: chainIds(diffIds) };
}

/** An index of images. */
export function indexOf(images: readonly (readonly [TestImage, Platform])[]): Document {
  const manifests = images.map(([{ root }, platform]) => ({ ...root.descriptor, platform }));
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
  return documentOf(bytesOf(JSON.stringify(index)), OCI_INDEX);
}

export function streamOf(...parts: Bytes[]): ReadableStream<Bytes> {
  return ReadableStream.from(parts);
}

export const give = (bytes: Bytes) => () => Promise.resolve(streamOf(bytes));

/** Puts an image, as a load does, and unpacks it. */
export async function put(
  store: Store,
  word: string | undefined,
  image: TestImage,
  options: { readonly unpack?: boolean; readonly root?: Document } = {},
): Promise<void> {
  using sink = await store.sink(word);
  for (const { descriptor, bytes } of [...image.layers, image.config]) {
    await sink.putBlob(descriptor, give(bytes));
  }
  if (options.unpack ?? true) {
    for (const chainId of image.chainIds) await unpack(store, sink.lease, chainId);
  }
  await sink.putDocument(image.root);
  await sink.putRoot(options.root ?? image.root);
}

/** @returns whether it did the work. */
export async function unpack(store: Store, lease: Lease, chainId: Digest): Promise<boolean> {
  await using layer = await store.newLayer(lease, chainId);
  if (layer === undefined) return false;
  Deno.writeTextFileSync(`${layer.path}/file`, chainId);
  await layer.commit({ size: chainId.length, entries: 1 });
  return true;
}

/** A test with a directory of its own, and in it a store. */
export function test(
  name: string,
  act: (store: Store, directory: string) => Promise<void>,
  options: { readonly ignore?: boolean } = {},
): void {
  Deno.test({
    name,
    ...options,
    fn: async () => {
      const directory = Deno.makeTempDirSync({ prefix: "store-" });
      try {
        await act(await openStore(`${directory}/store`), directory);
      } finally {
        Deno.removeSync(directory, { recursive: true });
      }
    },
  });
}

/** Everything a store should be at rest: all that is listed is there, and nothing else. */
export async function assertWhole(store: Store): Promise<void> {
  for (const image of store.list()) {
    if (image.problem) throw image.problem;
    const name = image.names[0] ?? image.id;
    const source = store.source(image.id);
    assert.equal((await source.root()).descriptor.digest, image.descriptor.digest, name);
    for (const layer of image.content!.layers) await source.blob(layer).then(drain);
    for (const chainId of image.content!.chainIds) {
      const layer = store.layer(chainId);
      if (layer !== undefined) assert.equal(Deno.readTextFileSync(`${layer.path}/file`), chainId);
    }
  }
  for (const folder of ["leases", "tmp", "locks"]) {
    assert.deepEqual(names(`${store.root}/crate/${folder}`), [], folder);
  }
  assert.equal(names(`${store.root}/crate/l`).length, names(`${store.root}/crate/layers`).length);
}

export function names(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
}

/** The blobs that are there, by their digests. */
export function blobsOf(store: Store): string[] {
  return names(`${store.root}/blobs/sha256`).map((hex) => `sha256:${hex}`);
}

export async function drain(stream: ReadableStream<Bytes>): Promise<Bytes> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export function blobOf(text: string): { descriptor: Descriptor; bytes: Bytes } {
  return documentOf(bytesOf(text), OCI_LAYER);
}
