import { readText, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { isDirectory } from "../lifecycle/mod.ts";
import { parseSpec, type Spec } from "../spec/mod.ts";

const MAX_CONFIG = 16 << 20;

/** A bundle, as a container is made of it. */
export interface Bundle {
  /** Absolute. */
  readonly directory: string;
  readonly spec: Spec;
  /** The text of its config. */
  readonly text: string;
}

/**
 * An OCI bundle: its config, with the paths that are relative to it made absolute.
 *
 * @param given its directory.
 * @param name of the config, from there.
 * @throws {CrateError} `NOT_FOUND`, `INVALID` naming the file and the field.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/main/bundle.md
 */
export function readBundle(given: string, name = "config.json"): Bundle {
  const directory = given.startsWith("/") ? given : `${Deno.cwd()}/${given}`;
  const file = name.startsWith("/") ? name : `${directory}/${name}`;
  let text: string;
  try {
    text = readText(file, MAX_CONFIG);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    const code = cause.code === "ENOENT" ? "NOT_FOUND" : "FAILED";
    throw new CrateError(code, `--bundle ${given}: ${name} cannot be read: ${cause.code}`, {
      cause,
    });
  }
  const below = (path: string) => path.startsWith("/") ? path : `${directory}/${path}`;
  const { root, mounts, ...rest } = parseSpec(text, file);
  if (root === undefined) throw new CrateError("INVALID", `${file}: root is missing`);
  const path = below(root.path);
  if (!isDirectory(path)) {
    throw new CrateError("INVALID", `${file}: root.path: there is no directory ${path}`);
  }
  const spec: Spec = {
    ...rest,
    root: { ...root, path },
    ...mounts !== undefined && {
      // A bind's source is a path of the host, relative to the bundle. config.md, "Mounts"
      mounts: mounts.map((mount) => {
        const isBind = mount.type === "bind" ||
          mount.options?.some((option) => /^r?bind$/.test(option));
        return isBind && mount.source !== undefined
          ? { ...mount, source: below(mount.source) }
          : mount;
      }),
    },
  };
  return { directory, spec, text };
}
