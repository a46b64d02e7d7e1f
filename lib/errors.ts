/**
 * What went wrong, as a word a program can test for.
 *
 * - `USAGE`: the command line does not parse; the command exits with 2;
 * - `INVALID`: a value (option, configuration, OCI config) is wrong;
 * - `NOT_FOUND`, `EXISTS`: a container or file that should, or should not, be there;
 * - `STATE`: the operation does not fit the container's present state;
 * - `UNSUPPORTED`: this kernel, host or version cannot do it;
 * - `PERMISSION`: it needs a privilege that the caller does not have;
 * - `START`: a step of a container's set-up failed;
 * - `COMMAND_NOT_FOUND`, `COMMAND_NOT_EXECUTABLE`: the user's program (exit 127 and 126);
 * - `FAILED`: anything else.
 */
export type ErrorCode =
  | "USAGE"
  | "INVALID"
  | "NOT_FOUND"
  | "EXISTS"
  | "STATE"
  | "UNSUPPORTED"
  | "PERMISSION"
  | "START"
  | "COMMAND_NOT_FOUND"
  | "COMMAND_NOT_EXECUTABLE"
  | "FAILED";

const EXIT_CODES: Partial<Record<ErrorCode, number>> = {
  USAGE: 2,
  COMMAND_NOT_EXECUTABLE: 126,
  COMMAND_NOT_FOUND: 127,
};

/**
 * The one error type that crate throws on purpose: one clear sentence and a code.
 *
 * @example
 * ```ts
 * import { CrateError } from "./errors.ts";
 * const error = new CrateError("INVALID", 'process.cwd must be absolute, got "tmp"');
 * if (error.exitCode !== 125) throw error;
 * ```
 */
export class CrateError extends Error {
  override readonly name = "CrateError";
  constructor(readonly code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
  }
  /** What the command exits with: docker's convention (125 for crate's own failures). */
  get exitCode(): number {
    return EXIT_CODES[this.code] ?? 125;
  }
}
