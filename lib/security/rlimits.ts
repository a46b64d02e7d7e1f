import { CrateError } from "../errors.ts";
import { nearest } from "./nearest.ts";

/** asm-generic/resource.h, in the order of their numbers, from 0. */
const NAMES =
  "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE " +
  "RTPRIO RTTIME";

/**
 * The number of a resource limit, as prlimit(2) takes it: of `RLIMIT_NOFILE`, the name in an OCI config.
 *
 * @throws {CrateError} `INVALID`: there is none of that name.
 *
 * @example
 * ```ts
 * import { rlimitNumber } from "./rlimits.ts";
 * if (rlimitNumber("RLIMIT_NOFILE") !== 7) throw new Error();
 * ```
 */
export function rlimitNumber(type: string): number {
  const names = NAMES.split(" ").map((name) => `RLIMIT_${name}`);
  const number = names.indexOf(type);
  if (number >= 0) return number;
  const near = nearest(type, names);
  throw new CrateError(
    "INVALID",
    `there is no resource limit ${JSON.stringify(type)}` +
      (near === undefined ? `: it is one of ${names.join(", ")}` : `: did you mean ${near}?`),
  );
}
