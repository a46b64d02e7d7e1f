import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Spec } from "../../spec/mod.ts";
import { type Bundle, readBundle } from "../bundle.ts";
import type { RunCall } from "../words/mod.ts";

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

/** A bundle, and its name on the command line. */
export interface NamedBundle extends Bundle {
  /** As runc's: the only word. */
  readonly name?: string;
}

/**
 * The OCI bundle of `--bundle`.
 *
 * @throws {CrateError} as `readBundle`; `USAGE`, `INVALID` for what its config says.
 */
export function bundleOf({ options, positionals }: RunCall): NamedBundle {
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
  return { ...readBundle(options.bundle!), ...word !== undefined && { name: word } };
}

/** A bundle's config with a group of crate's own, where it names none. */
export function withGroup(spec: Spec, config: Effective, id: string): Spec {
  if (spec.linux?.cgroupsPath !== undefined) return spec;
  const cgroupsPath = `${config["cgroup.parent"].value}/${id}`;
  return { ...spec, linux: { ...spec.linux, cgroupsPath } };
}
