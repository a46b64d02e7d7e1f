import { isInitialUserNamespace } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { cniNetwork } from "./cni/places.ts";
import type { ForeignEnvironment, ForeignNetwork } from "./types.ts";

/**
 * The network that a word means: `cni:NAME`, `pasta` or `slirp4netns`.
 *
 * @throws {CrateError} `INVALID` for a name that is none; `PERMISSION` for what this user may not have;
 *   `UNSUPPORTED` for what is for others.
 */
export function foreignNetwork(word: string, environment: ForeignEnvironment): ForeignNetwork {
  if (word.startsWith("cni:")) {
    if (!isInitialUserNamespace()) {
      throw new CrateError(
        "PERMISSION",
        `--network ${word} needs root: its plugins change this host's network (--network pasta is what a user has)`,
      );
    }
    return cniNetwork(word.slice("cni:".length), environment);
  }
  if (isInitialUserNamespace()) {
    throw new CrateError(
      "UNSUPPORTED",
      `--network ${word} is for a user without root: root has crate0, which is faster`,
    );
  }
  return { kind: word === "pasta" ? "pasta" : "slirp4netns", path: environment.PATH ?? "" };
}
