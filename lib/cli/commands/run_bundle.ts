import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import { deleteContainer, startCreated } from "../../lifecycle/mod.ts";
import type { Spec } from "../../spec/mod.ts";
import { type Bundle, readBundle } from "../bundle.ts";
import { createForEngine } from "../engine.ts";
import { groupPath } from "../group.ts";
import { log } from "../log.ts";
import type { Globals, RunCall } from "../words/mod.ts";

/** What is not the config's to say. */
const OWN = [
  "bundle",
  "config",
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

/** What is for runc's form of the command line alone: `run --bundle DIR ID`. */
const RUNCS = [
  "keep",
  "consoleSocket",
  "pidfdSocket",
  "preserveFds",
  "noPivot",
  "noNewKeyring",
  "noSubreaper",
];

/** A bundle, and its name on the command line. */
export interface NamedBundle extends Bundle {
  /** The only word: the command line is as runc's, and so is what becomes of the container. */
  readonly name?: string;
}

/**
 * The OCI bundle of `--bundle`.
 *
 * @throws {CrateError} as `readBundle`; `USAGE`, `INVALID` for what its config says.
 */
export function bundleOf({ options, positionals }: RunCall): NamedBundle {
  const [word, excess] = positionals;
  const dashed = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  for (const [name, value] of Object.entries(options)) {
    const isGiven = value !== undefined && value !== false &&
      !(Array.isArray(value) && value.length === 0);
    if (OWN.includes(name) || !isGiven) continue;
    if (!RUNCS.includes(name)) {
      throw new CrateError(
        "INVALID",
        `--${dashed(name)} is not for --bundle: its config.json says all of that`,
      );
    }
    if (word === undefined) {
      throw new CrateError(
        "USAGE",
        `crate run: --${dashed(name)} is for runc's words: crate run --bundle DIR [OPTIONS] ID`,
      );
    }
  }
  if (excess !== undefined || word !== undefined && options.name !== undefined) {
    const more = excess ?? word!;
    throw new CrateError(
      "USAGE",
      `crate run --bundle takes no command, got "${more}": config.json has it`,
    );
  }
  if (options.keep !== undefined && options.keep !== "") {
    throw new CrateError(
      "INVALID",
      "--keep DIR is not for --bundle; --keep after it, alone, keeps the container, as runc's",
    );
  }
  if (word !== undefined) requireRuncs(options);
  if (word !== undefined && !options.detach && options.consoleSocket !== undefined) {
    throw new CrateError("USAGE", "crate run: --console-socket is for --detach");
  }
  const bundle = readBundle(options.bundle!, options.config);
  return { ...bundle, ...word !== undefined && { name: word } };
}

/** Refuses what contradicts runc's words, or what a container of the caller's has no use for. */
function requireRuncs(options: RunCall["options"]): void {
  if (options.rm && options.keep !== undefined) {
    throw new CrateError("USAGE", "crate run: --rm and --keep contradict each other");
  }
  if (!options.detach) return;
  const given = (["cidfile", "stopSignal", "stopTimeout", "interactive"] as const)
    .find((name) => options[name] !== undefined) ?? (options.rm ? "rm" : undefined);
  if (given === undefined) return;
  const name = given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new CrateError(
    "USAGE",
    `crate run: --${name} is not for --detach with an ID, runc's words: give --name ID in its place`,
  );
}

/**
 * `run --detach --bundle DIR ID`, runc's words: created and started at once, it is the caller's child, and its
 * descriptors are the caller's.
 *
 * @throws {CrateError} when it cannot be started; then nothing is left of it.
 */
export async function runForEngine(
  { options, globals }: RunCall,
  config: Effective,
  id: string,
  bundle: Bundle,
): Promise<void> {
  const root = config.root.value;
  const warn = (message: string) => log("warn", message);
  await createForEngine({
    id,
    root,
    bundle: { ...bundle, spec: withGroup(bundle.spec, globals, config, id) },
    options,
    globals,
  });
  try {
    await startCreated(root, id, warn);
  } catch (error) {
    await deleteContainer(root, id, { force: true, warn });
    throw error;
  }
}

/** A bundle's config with a group of crate's own, where it names none. */
export function withGroup(spec: Spec, globals: Globals, config: Effective, id: string): Spec {
  if (spec.linux?.cgroupsPath !== undefined) return spec;
  const cgroupsPath = groupPath(globals, config, id);
  return { ...spec, linux: { ...spec.linux, cgroupsPath } };
}
