import { parseJson } from "./json.ts";
import type { Process } from "./types.ts";
import { validateProcess } from "./validate_process.ts";

/**
 * A process in a JSON text, as `process` of a config: what `exec --process` names.
 *
 * @throws {CrateError} `INVALID`, as {@linkcode parseSpec}.
 */
export function parseProcess(text: string, file: string): Process {
  const value = parseJson(text, file);
  validateProcess(value, `${file}: `);
  return value as Process;
}
