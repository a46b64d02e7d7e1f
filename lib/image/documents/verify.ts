import { canHash, Sha256 } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { type Algorithm, digestAlgorithm } from "../names/mod.ts";
import type { Descriptor, Digest } from "../types.ts";
import { Hasher, nodeHash } from "./hasher.ts";
import { sha256 } from "./sha256.ts";

/** Longer ones are worth what it takes to load node:crypto, where the processor has no instructions for it. Bytes. */
const SHORT = 1 << 15;

/** The digest of bytes. */
export function digestOf(
  bytes: Uint8Array<ArrayBuffer>,
  algorithm: Algorithm = "sha256",
): Digest {
  if (algorithm === "sha256") {
    if (canHash()) {
      const hash = new Sha256();
      hash.update(bytes);
      return `sha256:${hash.digest()}`;
    }
    if (bytes.length <= SHORT) return `sha256:${sha256(bytes)}`;
  }
  return `${algorithm}:${nodeHash(algorithm).update(bytes).digest("hex")}`;
}

/**
 * Checks that bytes are what a descriptor says.
 *
 * @param source for the message: `the manifest of alpine`.
 * @throws {CrateError} `INVALID`: they are of another size, or have another digest.
 */
export function checkDocument(
  bytes: Uint8Array<ArrayBuffer>,
  descriptor: Descriptor,
  source: string,
): void {
  if (bytes.length !== descriptor.size) throw wrongSize(source, bytes.length, descriptor.size);
  const digest = digestOf(bytes, digestAlgorithm(descriptor.digest));
  if (digest !== descriptor.digest) throw wrongDigest(source, digest, descriptor.digest);
}

/**
 * Passes a blob's bytes on, and errors instead of closing when they are not what the descriptor says: at the first
 * byte too many, or at the end.
 */
export function verifiedStream(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  descriptor: Descriptor,
  source: string,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const hash = new Hasher(digestAlgorithm(descriptor.digest), descriptor.size);
  let size = 0;
  return stream.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        size += chunk.length;
        if (size > descriptor.size) {
          throw new CrateError("INVALID", `${source} has more than its ${descriptor.size} bytes`);
        }
        hash.update(chunk);
        controller.enqueue(chunk);
      },
      async flush() {
        if (size !== descriptor.size) throw wrongSize(source, size, descriptor.size);
        const digest = await hash.digest();
        if (digest !== descriptor.digest) throw wrongDigest(source, digest, descriptor.digest);
      },
    }),
  );
}

function wrongSize(source: string, is: number, wanted: number): CrateError {
  return new CrateError("INVALID", `${source} has ${is} bytes where ${wanted} must be`);
}

function wrongDigest(source: string, is: Digest, wanted: Digest): CrateError {
  return new CrateError("INVALID", `${source} has the digest ${is} where ${wanted} must be`);
}

/**
 * The chain ID of each layer, the lowest first: what it and all below it are together.
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
 */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(
      below === undefined ? diffId : digestOf(new TextEncoder().encode(`${below} ${diffId}`)),
    );
  }
  return chain;
}
