import { CrateError } from "../../errors.ts";
import type { Digest } from "../types.ts";
import { quote } from "./quote.ts";

/** The algorithms that descriptor.md registers and that crate computes. */
export type Algorithm = "sha256" | "sha512";

const HEX_DIGITS: Readonly<Record<Algorithm, number>> = { sha256: 64, sha512: 128 };
const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Whether this is the name of an algorithm that crate computes. */
export function isDigestAlgorithm(text: string): text is Algorithm {
  return text === "sha256" || text === "sha512";
}

/**
 * Whether a value is a digest that crate can check: an algorithm it knows and as many lower-case hexadecimal
 * digits as that algorithm has.
 *
 * @example
 * ```ts
 * import { isDigest } from "./digest.ts";
 * if (!isDigest("sha256:" + "0".repeat(64)) || isDigest("sha256:0")) throw new Error();
 * ```
 */
export function isDigest(value: unknown): value is Digest {
  return typeof value === "string" && DIGEST.test(value);
}

/**
 * Reads a digest.
 *
 * @throws {CrateError} `INVALID`, with what is wrong: the algorithm, the number of digits, a digit.
 *
 * @example
 * ```ts
 * import { parseDigest } from "./digest.ts";
 * const digest = parseDigest("sha256:" + "0".repeat(64));
 * ```
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
 */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  const colon = text.indexOf(":");
  const refuse = (why: string) => new CrateError("INVALID", `the digest ${quote(text)} ${why}`);
  if (colon < 0) throw refuse("has no algorithm: it must be sha256: and 64 hexadecimal digits");
  const algorithm = text.slice(0, colon);
  if (!isDigestAlgorithm(algorithm)) {
    throw refuse(`is of the algorithm ${quote(algorithm)}: crate knows sha256 and sha512`);
  }
  const digits = text.length - colon - 1;
  const wanted = HEX_DIGITS[algorithm];
  if (digits !== wanted) {
    throw refuse(`has ${digits} characters after ${algorithm}: where ${wanted} must be`);
  }
  throw refuse(`has other characters than 0-9 and a-f after ${algorithm}:`);
}

/** What stands before the colon: the hash function. */
export function digestAlgorithm(digest: Digest): Algorithm {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

/** What stands after the colon: a file's name that is safe, since only 0-9 and a-f are in it. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}
