import { CrateError } from "../errors.ts";
import { isIndexType, parseIndex, parseManifest } from "./documents/mod.ts";
import type { Descriptor, Digest, Document, ImageSink, ImageSource, Progress } from "./types.ts";

/** How an image is pushed. */
export interface PushOptions {
  /** The one manifest to push, of an image that has several. Default: all of them. */
  readonly manifest?: Descriptor;
  readonly progress?: (event: Progress) => void;
  readonly signal?: AbortSignal;
}

/** What came of a push: the document that the name leads to now. */
export type Pushed = Descriptor;

/** How many blobs go at the same time. */
const PARALLEL = 3;
const MAX_DEPTH = 4;

/**
 * Copies an image to where it shall be: its blobs, then its documents, each after all that it leads to, the name
 * last. What is there already is not sent again.
 *
 * @throws {CrateError} `NOT_FOUND` when the source lacks a part of it. @throws the signal's reason
 */
export async function pushImage(
  source: ImageSource,
  sink: ImageSink,
  { manifest, progress = () => {}, signal }: PushOptions = {},
): Promise<Pushed> {
  const root = manifest === undefined
    ? await source.root()
    : { descriptor: manifest, bytes: await source.document(manifest) };
  const documents = await documentsOf(source, root);
  const blobs = new Map(
    documents.flatMap(({ descriptor, bytes }) =>
      isIndexType(descriptor.mediaType) ? [] : blobsOf(bytes, descriptor.mediaType, source.name)
    ).map((blob) => [blob.digest, blob]),
  );
  const waiting = [...blobs.values()];
  for (const { digest } of waiting) progress({ type: "blob", digest, state: "waiting" });
  let failed = false;
  const one = async () => {
    for (let blob = waiting.shift(); blob !== undefined && !failed; blob = waiting.shift()) {
      try {
        await put(source, sink, blob, progress, signal);
      } catch (error) {
        failed = true;
        progress({ type: "blob", digest: blob.digest, state: "failed" });
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: PARALLEL }, one));
  signal?.throwIfAborted();
  for (const result of results) if (result.status === "rejected") throw result.reason;
  for (const document of documents.slice(1).reverse()) {
    await sink.putDocument(document);
    signal?.throwIfAborted();
  }
  await sink.putRoot(root);
  return root.descriptor;
}

/** A document and all that it leads to, each before those. */
async function documentsOf(source: ImageSource, root: Document): Promise<Document[]> {
  const found = new Map<Digest, Document>();
  const visit = async (document: Document, depth: number) => {
    const { descriptor, bytes } = document;
    if (depth > MAX_DEPTH) {
      throw new CrateError("INVALID", `${source.name} has indexes in indexes, more than ${depth}`);
    }
    // One that is met again stands behind all that lead to it.
    found.delete(descriptor.digest);
    found.set(descriptor.digest, document);
    if (!isIndexType(descriptor.mediaType)) return;
    for (const inner of parseIndex(bytes, descriptor.mediaType, source.name).manifests) {
      await visit({ descriptor: inner, bytes: await source.document(inner) }, depth + 1);
    }
  };
  await visit(root, 0);
  return [...found.values()];
}

function blobsOf(bytes: Uint8Array, mediaType: string, name: string): Descriptor[] {
  const { config, layers } = parseManifest(bytes, mediaType, name);
  // Layers that may not be given away are fetched by `urls`; their type says so. image-spec, layer.md
  const own = layers.filter(({ mediaType }) => !/nondistributable|foreign/.test(mediaType));
  return [...own, config];
}

async function put(
  source: ImageSource,
  sink: ImageSink,
  blob: Descriptor,
  progress: (event: Progress) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { digest, size: total } = blob;
  const options = signal === undefined ? {} : { signal };
  const wasSent = await sink.putBlob(blob, async () => {
    progress({ type: "blob", digest, state: "uploading" });
    let done = 0;
    const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(bytes, controller) {
        done += bytes.length;
        progress({ type: "bytes", digest, done, total });
        controller.enqueue(bytes);
      },
    });
    return (await source.blob(blob, options)).pipeThrough(counted);
  }, options);
  progress({ type: "blob", digest, state: wasSent ? "done" : "exists" });
}
