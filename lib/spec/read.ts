import { CrateError } from "../errors.ts";
import { type Fields, object } from "./check.ts";
import { parseJson } from "./json.ts";
import type { Mount, Spec } from "./types.ts";
import type { LinuxResources } from "./types_resources.ts";
import { validateSpec } from "./validate.ts";
import { validateMountList, validateMountPoints } from "./validate_mounts.ts";
import { validateResources } from "./validate_resources.ts";

/**
 * The config in a JSON text, validated.
 *
 * What plain `JSON.parse` would get wrong is read as the spec's own Go structs are: a field that
 * is `null` counts as left out, and 64-bit limits and masks stay exact.
 *
 * @param text The document.
 * @param file Its name, for errors.
 * @throws {CrateError} `INVALID`: `config.json:12:3: ...` where it is no JSON,
 * `config.json: process.cwd must ...` where it is no config.
 *
 * @example
 * ```ts
 * import { parseSpec } from "./mod.ts";
 * const text = `{"ociVersion": "1.2.0", "root": {"path": "rootfs"}, "hooks": null}`;
 * if (parseSpec(text, "config.json").hooks !== undefined) throw new Error("null is left out");
 * ```
 */
export function parseSpec(text: string, file: string): Spec {
  return validateSpec(parseJson(text, file), file);
}

/**
 * Resources in a JSON text, as `linux.resources` of a config: what `update --resources` names.
 *
 * @throws {CrateError} `INVALID`, as {@linkcode parseSpec}.
 */
export function parseResources(text: string, file: string): LinuxResources {
  const value = parseJson(text, file);
  validateResources(value, `${file}: `);
  return value as LinuxResources;
}

/**
 * Mounts in a JSON text, as `mounts` of a config: the list, or an object that has it.
 *
 * @throws {CrateError} `INVALID`, as {@linkcode parseSpec}.
 */
export function parseMounts(text: string, file: string): readonly Mount[] {
  return validateMountList(readMountList(text, file), `${file}: `)!;
}

/**
 * The destinations of mounts in a JSON text, whatever else it says of them.
 *
 * @throws {CrateError} `INVALID`, as {@linkcode parseSpec}.
 */
export function parseMountPoints(
  text: string,
  file: string,
): readonly Pick<Mount, "destination">[] {
  return validateMountPoints(readMountList(text, file), `${file}: `);
}

function readMountList(text: string, file: string): Fields {
  const value = parseJson(text, file);
  const fields = Array.isArray(value) ? { mounts: value } : object(value, `${file}: the mounts`);
  if (fields.mounts !== undefined) return fields;
  throw new CrateError("INVALID", `${file}: mounts is missing: the list of them`);
}
