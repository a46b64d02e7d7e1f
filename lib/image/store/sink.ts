import { CrateError } from "../../errors.ts";
import { Hasher } from "../documents/mod.ts";
import { digestAlgorithm } from "../names/mod.ts";
import type { Descriptor, Document, ImageSink, ImageSource } from "../types.ts";
import { blobStream, hasBlob, putDocument, readDocument } from "./blobs.ts";
import { explainedAsync } from "./disk.ts";
import type { Image } from "./images.ts";
import type { Paths } from "./layout.ts";
import type { Lease } from "./leases.ts";
import { putName } from "./names.ts";
import { openPartial, type Partial } from "./partial.ts";

/** Where an image is written into the store; ended, it lets others remove what has no name by then. */
export interface StoreSink extends ImageSink, Disposable {
  /** What it has put so far is held by this. */
  readonly lease: Lease;
}

/** A sink into the store. @param name canonical; undefined: the image has none in the end. */
export function storeSink(paths: Paths, lease: Lease, name: string | undefined): StoreSink {
  return {
    name: name ?? paths.root,
    lease,
    async hasBlob(descriptor) {
      // Held first: what is there now must be there when the name is given.
      await lease.hold([descriptor.digest]);
      return hasBlob(paths, descriptor);
    },
    async putBlob(descriptor, data, { signal } = {}) {
      using partial = await openPartial(paths, lease, descriptor, signal);
      if (partial === undefined) return false;
      await fill(paths, partial, data, signal);
      return true;
    },
    putDocument: (document: Document) => putDocument(paths, lease, document),
    async putRoot(document: Document) {
      await putDocument(paths, lease, document);
      await putName(paths, name, document.descriptor);
    },
    [Symbol.dispose]: () => lease[Symbol.dispose](),
  };
}

/** From the beginning: a sink's data has no offset. */
async function fill(
  paths: Paths,
  partial: Partial,
  data: () => Promise<ReadableStream<Uint8Array<ArrayBuffer>>>,
  signal?: AbortSignal,
): Promise<void> {
  partial.restart();
  const { digest, size } = partial.descriptor;
  const hash = new Hasher(digestAlgorithm(digest), size);
  await explainedAsync(paths, `write blob ${digest}`, async () => {
    for await (const bytes of await data()) {
      signal?.throwIfAborted();
      partial.append(bytes);
      hash.update(bytes);
    }
  });
  await partial.commit(await hash.digest());
}

/** An image of the store, to be read from. */
export function storeSource(paths: Paths, image: Image, name: string): ImageSource {
  const gone = (error: unknown): unknown =>
    error instanceof CrateError && error.code === "NOT_FOUND"
      ? new CrateError("NOT_FOUND", `${name} is not whole: ${error.message}`, { cause: error })
      : error;
  const read = <T>(act: () => T): Promise<T> => {
    try {
      return Promise.resolve(act());
    } catch (error) {
      return Promise.reject(gone(error));
    }
  };
  return {
    name,
    root: () =>
      read(() => ({
        descriptor: image.descriptor,
        bytes: readDocument(paths, image.descriptor),
      })),
    document: (descriptor: Descriptor) => read(() => readDocument(paths, descriptor)),
    blob: (descriptor, options) => read(() => blobStream(paths, descriptor, options)),
  };
}
