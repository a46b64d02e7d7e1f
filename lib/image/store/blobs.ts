import {
  close,
  isMissing,
  LOCK_SH,
  O_NOFOLLOW,
  O_RDONLY,
  open,
  readAll,
  S_IFMT,
  S_IFREG,
  syscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { digestOf, Hasher } from "../documents/mod.ts";
import { digestAlgorithm } from "../names/mod.ts";
import type { Descriptor, Document } from "../types.ts";
import { explainedAsync, namesIn, status, syncDirectoryLater, writeContent } from "./disk.ts";
import { ALGORITHMS, blobPath, type Paths } from "./layout.ts";
import type { Lease } from "./leases.ts";
import { underLock } from "./lock.ts";

/** The largest manifest, index or configuration that is read into memory; registries refuse 4 MiB. */
export const MAX_DOCUMENT = 8 << 20;
const CHUNK = 1 << 20;
const SEEK_SET = 0;

/** Whether a blob is there, with its size. Its content was checked when it was put there. */
export function hasBlob(paths: Paths, { digest, size }: Descriptor): boolean {
  const found = status(blobPath(paths, digest));
  return found !== undefined && (found.mode & S_IFMT) === S_IFREG && found.size === size;
}

function openBlob(paths: Paths, { digest, size }: Descriptor): number {
  const path = blobPath(paths, digest);
  let fd: number;
  try {
    fd = open(path, O_RDONLY | O_NOFOLLOW);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new CrateError("NOT_FOUND", `blob ${digest} is not in the store`, { cause: error });
  }
  const found = status(fd)!;
  if ((found.mode & S_IFMT) === S_IFREG && found.size === size) return fd;
  close(fd);
  throw damaged(path, `has ${found.size} bytes instead of ${size}`);
}

function damaged(path: string, how: string): CrateError {
  return new CrateError("FAILED", `${path} ${how}: remove the file and pull the image again`);
}

/**
 * A manifest's, index's or configuration's bytes, checked.
 *
 * @throws {CrateError} `NOT_FOUND`; `FAILED` when the file is not what its name says, `INVALID` when it
 *   is too large for a document.
 */
export function readDocument(paths: Paths, descriptor: Descriptor): Uint8Array<ArrayBuffer> {
  const { digest, size } = descriptor;
  if (size > MAX_DOCUMENT) {
    throw new CrateError(
      "INVALID",
      `document ${digest} has ${size} bytes; at most ${MAX_DOCUMENT} are read`,
    );
  }
  const fd = openBlob(paths, descriptor);
  try {
    const bytes = readAll(fd, size + 1);
    const found = digestOf(bytes, digestAlgorithm(digest));
    if (found !== digest) throw damaged(blobPath(paths, digest), `has the content of ${found}`);
    return bytes;
  } finally {
    close(fd);
  }
}

/**
 * A blob's bytes from an offset on; from its beginning they are checked, and the stream errors at its
 * end instead of closing when they are others.
 *
 * @throws {CrateError} `NOT_FOUND`, `FAILED`
 */
export function blobStream(
  paths: Paths,
  descriptor: Descriptor,
  { offset = 0, signal }: { readonly offset?: number; readonly signal?: AbortSignal } = {},
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { digest, size } = descriptor;
  const fd = openBlob(paths, descriptor);
  const hash = offset === 0 ? new Hasher(digestAlgorithm(digest), size) : undefined;
  let open = true;
  const end = () => {
    if (open) close(fd);
    open = false;
  };
  if (offset > 0) syscall("lseek", fd, offset, SEEK_SET);
  return new ReadableStream({
    async pull(controller) {
      try {
        signal?.throwIfAborted();
        const chunk = new Uint8Array(CHUNK);
        const count = syscall("read", fd, chunk, chunk.length);
        if (count > 0) {
          const bytes = chunk.subarray(0, count);
          hash?.update(bytes);
          controller.enqueue(bytes);
          return;
        }
        end();
        const found = await hash?.digest();
        if (found !== undefined && found !== digest) {
          throw damaged(blobPath(paths, digest), `has the content of ${found}`);
        }
        controller.close();
      } catch (error) {
        end();
        throw error;
      }
    },
    cancel: end,
  }, { highWaterMark: 0 });
}

/** Whether a document is there and is what it should be: it is small enough to look. */
function isWhole(paths: Paths, descriptor: Descriptor): boolean {
  if (!hasBlob(paths, descriptor)) return false;
  try {
    readDocument(paths, descriptor);
    return true;
  } catch (error) {
    if (error instanceof CrateError) return false;
    throw error;
  }
}

/**
 * Puts a document into the store, whole, with a lease on it. Its name lasts after {@linkcode syncBlobs}.
 *
 * @throws {CrateError} `INVALID` when the bytes are not what the descriptor says.
 */
export async function putDocument(
  paths: Paths,
  lease: Lease,
  { descriptor, bytes }: Document,
): Promise<void> {
  const { digest, size } = descriptor;
  const found = digestOf(bytes, digestAlgorithm(digest));
  if (found !== digest || bytes.length !== size) {
    throw new CrateError(
      "INVALID",
      `the document given as ${digest} (${size} bytes) is ${found} (${bytes.length} bytes)`,
    );
  }
  await lease.hold([digest]);
  if (isWhole(paths, descriptor)) return;
  await explainedAsync(
    paths,
    `write document ${digest}`,
    () => underLock(paths, LOCK_SH, () => writeContent(paths, blobPath(paths, digest), bytes)),
  );
}

/** Makes the names of all blobs last: before an image that needs them is listed. @throws {SyscallError} */
export async function syncBlobs(paths: Paths): Promise<void> {
  const directories = ALGORITHMS.map((algorithm) => `${paths.blobs}/${algorithm}`)
    // Hardly anybody has a sha512.
    .filter((directory) => namesIn(directory).length > 0);
  await Promise.all(directories.map(syncDirectoryLater));
}
