import {
  close,
  O_RDONLY,
  open,
  S_IFDIR,
  S_IFREG,
  syscall,
  SyscallError,
  writeAll,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { type Compression, inflate, sniff, sniffed, statusOf } from "../unpack/mod.ts";
import { type ArchiveFiles, tarFiles } from "./files.ts";
import { refuseForeign } from "./foreign.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const CHUNK = 1 << 18;

/** An archive that can be read from any place; ended, its file is closed. */
export interface Archive extends Disposable {
  readonly files: ArchiveFiles;
}

/** What an archive is opened with. */
export interface OpenOptions {
  /** Makes a file without a name, for what cannot be read twice: the descriptor. */
  readonly temporary: () => number;
  readonly signal?: AbortSignal;
}

/**
 * Opens a tar archive, plain, gzip or zstd. A file that is not compressed is read where it lies; anything
 * else, a pipe as well, is written to a temporary file first.
 *
 * @param path undefined: standard input.
 * @throws {CrateError} `NOT_FOUND`, `PERMISSION`, `INVALID`
 */
export async function openArchive(
  path: string | undefined,
  { temporary, signal }: OpenOptions,
): Promise<Archive> {
  using stack = new DisposableStack();
  const name = path ?? "standard input";
  const input = path === undefined ? 0 : stack.adopt(openFile(path), close);
  const isFile = statusOf(input).type === S_IFREG;
  if (isFile && compressionOf(input) === "none") {
    refuseForeign(input, name);
    const files = tarFiles(input, name);
    const kept = stack.move();
    return { files, [Symbol.dispose]: () => kept.dispose() };
  }
  const copy = stack.adopt(temporary(), close);
  await spool(chunksOf(input, path === undefined, signal), copy, name);
  refuseForeign(copy, name);
  const files = tarFiles(copy, name);
  const kept = stack.move();
  return { files, [Symbol.dispose]: () => kept.dispose() };
}

/** @throws {CrateError} */
export function openFile(path: string): number {
  let fd: number;
  try {
    fd = open(path, O_RDONLY);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const code = error.code === "ENOENT" ? "NOT_FOUND" : "PERMISSION";
    throw new CrateError(code, `${path} cannot be opened: ${error.code}`, { cause: error });
  }
  if (statusOf(fd).type !== S_IFDIR) return fd;
  close(fd);
  throw new CrateError("INVALID", `${path} is a directory, and no archive`);
}

function compressionOf(fd: number): Compression {
  const head = new Uint8Array(4);
  const count = syscall("pread64", fd, head, head.length, 0);
  return sniff(head.subarray(0, count));
}

/** What comes from a descriptor, to its end. Standard input is waited for by the runtime. */
export async function* chunksOf(
  fd: number,
  isStdin: boolean,
  signal?: AbortSignal,
): AsyncGenerator<Bytes> {
  if (isStdin) {
    const reader = Deno.stdin.readable.getReader();
    const stop = () => void reader.cancel(signal?.reason).catch(() => {});
    signal?.addEventListener("abort", stop, { once: true });
    try {
      for (;;) {
        const { done, value } = await reader.read();
        signal?.throwIfAborted();
        if (done) return;
        yield value;
      }
    } finally {
      signal?.removeEventListener("abort", stop);
      reader.releaseLock();
    }
  }
  for (;;) {
    signal?.throwIfAborted();
    const chunk = new Uint8Array(CHUNK);
    const count = syscall("read", fd, chunk, chunk.length);
    if (count === 0) return;
    yield chunk.subarray(0, count);
  }
}

/** Writes a stream, uncompressed, to a file. */
async function spool(chunks: AsyncIterable<Bytes>, to: number, name: string): Promise<void> {
  const { compression, all } = await sniffed(chunks);
  for await (const bytes of inflate(all, compression)) keep(to, bytes, name);
}

/** Writes to a temporary file. @throws {CrateError} `FAILED`: the disk is full. */
export function keep(to: number, bytes: Bytes, name: string): void {
  try {
    writeAll(to, bytes);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new CrateError("FAILED", `${name} cannot be kept in the store: ${error.code}`, {
      cause: error,
    });
  }
}
