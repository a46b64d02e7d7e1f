/**
 * Whether a value is an OCI config: the shape that the runtime-spec's schema gives, and the rules
 * that its text and the kernel add.
 *
 * @module
 */
import type { Spec } from "./types.ts";
import {
  absolute,
  at,
  fail,
  type Fields,
  given,
  integer,
  object,
  optionalBoolean,
  optionalEach,
  optionalObject,
  optionalStrings,
  optionalText,
  refuse,
  stringMap,
  text,
} from "./check.ts";
import { validateMounts } from "./validate_mounts.ts";
import { validateProcess } from "./validate_process.ts";
import { type Namespaces, readNamespaces, validateLinux } from "./validate_linux.ts";

/** HOST_NAME_MAX, sethostname(2). */
const HOST_NAME_MAX = 64;

/**
 * The value as a config, unchanged, once every field that the spec knows has been looked at.
 * Fields it does not know are let be, as the spec asks.
 *
 * @param value What JSON (or a script) gave; 64-bit numbers over 2^53-1 as bigints, as
 * {@linkcode parseSpec} reads them.
 * @param source The document's name, put before the field's in errors.
 * @throws {CrateError} `INVALID`, naming the first field that is wrong.
 *
 * @example
 * ```ts
 * import { validateSpec } from "./mod.ts";
 * const spec = validateSpec({
 *   ociVersion: "1.2.0",
 *   root: { path: "rootfs" },
 *   process: { args: ["/bin/true"], cwd: "/" },
 * });
 * if (spec.process?.cwd !== "/") throw new Error("unchanged");
 * ```
 */
export function validateSpec(value: unknown, source?: string): Spec {
  const root = source === undefined ? "" : `${source}: `;
  const spec = object(value, `${root}the config`);
  version(spec.ociVersion, at(root, "ociVersion"));
  rootfs(spec.root, at(root, "root"));
  given(spec, "process", root, validateProcess);

  const linux = optionalObject(spec, "linux", root);
  const namespaces = readNamespaces(linux, at(root, "linux"));
  for (const key of ["hostname", "domainname"]) name(spec, key, root, namespaces);
  validateMounts(spec, root, namespaces);
  given(spec, "hooks", root, validateHooks);
  given(spec, "annotations", root, stringMap);
  if (linux !== undefined) validateLinux(linux, at(root, "linux"), namespaces, spec);
  return value as Spec;
}

/** SemVer, of the one major version there is. */
function version(value: unknown, field: string): void {
  if (value === undefined) fail(`${field} is missing: the runtime-spec's version, "1.2.0"`);
  const got = text(value, field);
  if (!/^1\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?$/.test(got)) {
    refuse(field, 'be a version 1 of the runtime-spec, "1.2.0"', got);
  }
}

function rootfs(value: unknown, field: string): void {
  if (value === undefined) fail(`${field} is missing: the root filesystem, {"path": "rootfs"}`);
  const root = object(value, field);
  if (text(root.path, at(field, "path")) === "") {
    refuse(at(field, "path"), "name a directory", root.path);
  }
  optionalBoolean(root, "readonly", field);
}

/** hostname and domainname: what sethostname(2) takes, and not the host's own. */
function name(spec: Fields, key: string, root: string, namespaces: Namespaces): void {
  const value = optionalText(spec, key, root);
  if (value === undefined || value === "") return;
  // A unit of a string takes three bytes at most.
  const isShort = value.length * 3 <= HOST_NAME_MAX;
  if (!isShort && new TextEncoder().encode(value).length > HOST_NAME_MAX) {
    refuse(at(root, key), `be at most ${HOST_NAME_MAX} bytes long`, value);
  }
  if (!namespaces.has("uts")) {
    fail(`${at(root, key)} needs a uts namespace in linux.namespaces: it would rename the host`);
  }
}

/** The points of a container's life at which hooks run. */
export const HOOKS = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
];

function validateHooks(value: unknown, where: string): void {
  const hooks = object(value, where);
  for (const point of HOOKS) optionalEach(hooks, point, where, hook);
}

function hook(value: unknown, field: string): void {
  const fields = object(value, field);
  absolute(fields.path, at(field, "path"));
  optionalStrings(fields, "args", field);
  optionalStrings(fields, "env", field);
  if (fields.timeout !== undefined) {
    integer(fields.timeout, at(field, "timeout"), 1, Number.MAX_SAFE_INTEGER);
  }
}
