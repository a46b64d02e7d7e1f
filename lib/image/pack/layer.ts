import { writeAll } from "../../../ffi/mod.ts";
import { Hasher, OCI_LAYER_GZIP } from "../documents/mod.ts";
import type { Descriptor, Digest } from "../types.ts";
import type { OverlayXattrs } from "../unpack/mod.ts";
import { tarOf } from "./tar.ts";
import { walkTree } from "./walk.ts";

/** How a layer is made. */
export interface LayerOptions {
  readonly overlay: OverlayXattrs;
  readonly signal?: AbortSignal;
}

/**
 * Writes an overlay's upper directory to a file, as a layer compressed by gzip.
 *
 * @param upper a descriptor of the directory.
 * @param to a descriptor of an empty file.
 * @throws {CrateError} @throws {SyscallError} @throws the signal's reason
 */
export async function writeLayer(
  upper: number,
  to: number,
  { overlay, signal }: LayerOptions,
): Promise<{ descriptor: Descriptor; diffId: Digest }> {
  // node:zlib brings node:crypto with it.
  const plain = new Hasher("sha256", Infinity);
  const packed = new Hasher("sha256", Infinity);
  let size = 0;
  const tar = function* () {
    for (const bytes of tarOf(walkTree(upper, { overlay }))) {
      signal?.throwIfAborted();
      plain.update(bytes);
      yield bytes;
    }
  };
  const [{ createGzip }, { Readable }] = await Promise.all([
    import("node:zlib"),
    import("node:stream"),
  ]);
  const gzip = createGzip();
  const source = Readable.from(tar(), { objectMode: false });
  source.on("error", (error) => gzip.destroy(error));
  source.pipe(gzip);
  for await (const chunk of gzip) {
    const bytes = chunk as Uint8Array<ArrayBuffer>;
    packed.update(bytes);
    size += bytes.length;
    writeAll(to, bytes);
  }
  return {
    diffId: await plain.digest(),
    descriptor: {
      mediaType: OCI_LAYER_GZIP,
      digest: await packed.digest(),
      size,
    },
  };
}
