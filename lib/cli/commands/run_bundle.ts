import { readText, SyscallError } from "../../../ffi/mod.ts";
import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import { isDirectory } from "../../lifecycle/mod.ts";
import { parseSpec, type Spec } from "../../spec/mod.ts";
import type { RunCall } from "../words/mod.ts";

const MAX_CONFIG = 16 << 20;
/** What is not the config's to say. */
const OWN = [
  "bundle",
  "detach",
  "interactive",
  "rm",
  "name",
  "cidfile",
  "pidFile",
  "explain",
  "stopSignal",
  "stopTimeout",
];

/** A bundle, as a container is made of it. */
export interface Bundle {
  /** The name that the command line gives, as runc's does: its only word. */
  readonly name?: string;
  /** Absolute. */
  readonly directory: string;
  readonly spec: Spec;
}

/**
 * The OCI bundle of `--bundle`: its config, with the paths that are relative to it made absolute.
 *
 * @throws {CrateError} `NOT_FOUND`, `INVALID` naming the file and the field; `USAGE`.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/main/bundle.md
 */
export function readBundle({ options, positionals }: RunCall): Bundle {
  for (const [name, value] of Object.entries(options)) {
    const isGiven = value !== undefined && value !== false &&
      !(Array.isArray(value) && value.length === 0);
    if (OWN.includes(name) || !isGiven) continue;
    const word = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new CrateError(
      "INVALID",
      `--${word} is not for --bundle: its config.json says all of that`,
    );
  }
  const [word, excess] = positionals;
  if (excess !== undefined || word !== undefined && options.name !== undefined) {
    const more = excess ?? word!;
    throw new CrateError(
      "USAGE",
      `crate run --bundle takes no command, got "${more}": config.json has it`,
    );
  }
  const given = options.bundle!;
  const directory = given.startsWith("/") ? given : `${Deno.cwd()}/${given}`;
  const file = `${directory}/config.json`;
  let text: string;
  try {
    text = readText(file, MAX_CONFIG);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    const code = cause.code === "ENOENT" ? "NOT_FOUND" : "FAILED";
    throw new CrateError(code, `--bundle ${given}: config.json cannot be read: ${cause.code}`, {
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
  return { directory, spec, ...word !== undefined && { name: word } };
}

/** A bundle's config with a group of crate's own, where it names none. */
export function withGroup(spec: Spec, config: Effective, id: string): Spec {
  if (spec.linux?.cgroupsPath !== undefined) return spec;
  const cgroupsPath = `${config["cgroup.parent"].value}/${id}`;
  return { ...spec, linux: { ...spec.linux, cgroupsPath } };
}
