import { CrateError } from "../errors.ts";

/** The network that is there without being made. */
export const DEFAULT_NETWORK = "crate0";
/** What docker's and podman's users call it. */
const DEFAULT_ALIASES = ["bridge", "default", DEFAULT_NETWORK];
/** Words of `--network` that name no network. */
const MODES = ["host", "none", "container", "ns", "cni", "private", "pasta", "slirp4netns"];

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/;

/** A network by one of its names. */
export function networkName(word: string): string {
  return DEFAULT_ALIASES.includes(word) ? DEFAULT_NETWORK : word;
}

/** @throws {CrateError} `INVALID` for what no network can be called. */
export function validateName(name: string): string {
  if (MODES.includes(name) || DEFAULT_ALIASES.includes(name)) {
    throw new CrateError("INVALID", `a network cannot be named "${name}": the word has a meaning`);
  }
  if (NAME.test(name)) return name;
  throw new CrateError(
    "INVALID",
    `${
      JSON.stringify(name)
    } is no name of a network: letters, digits, "_", ".", "-", at most 64, a letter or digit first`,
  );
}

/** What a resolver may look up: RFC 1123, and the underscore that compose files use. */
const HOST = /^(?!.*\.\.)[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,252})$/;

/** @throws {CrateError} `INVALID` */
export function validateHost(name: string, where: string): string {
  if (HOST.test(name)) return name;
  throw new CrateError(
    "INVALID",
    `${where}: ${JSON.stringify(name)} is no host name: letters, digits, "-", "." and "_"`,
  );
}
