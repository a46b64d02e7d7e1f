import { syscall } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";

/** What others compress archives with, by the first bytes, in hexadecimal. */
const FOREIGN = [
  ["bzip2", /^425a683[1-9]314159265359/],
  ["xz", /^fd377a585a00/],
  ["lzip", /^4c5a4950/],
  ["lz4", /^04224d18/],
] as const;

/**
 * Refuses a file that is compressed by what crate does not know.
 *
 * @param fd a regular file.
 * @param name for the message.
 * @throws {CrateError} `INVALID`
 */
export function refuseForeign(fd: number, name: string): void {
  const head = new Uint8Array(10);
  syscall("pread64", fd, head, head.length, 0);
  const digits = head.toHex();
  const foreign = FOREIGN.find(([, magic]) => magic.test(digits));
  if (foreign === undefined) return;
  throw new CrateError(
    "INVALID",
    `${name} is compressed by ${
      foreign[0]
    }, which crate does not know: uncompress it, or use gzip or zstd`,
  );
}
