import { isInitialUserNamespace } from "../../../ffi/mod.ts";
import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import { type ClaimedIds, claimUsers } from "../../lifecycle/mod.ts";
import { parseIdMaps, parseUserNamespace } from "../../spec/mod.ts";
import type { RunCall } from "../words/mod.ts";

/**
 * A container's own user namespace, as a command line and the configuration mean it.
 *
 * @returns undefined when it has the host's users.
 * @throws {CrateError}
 */
export function runUserNamespace(
  { options }: RunCall,
  config: Effective,
): ClaimedIds | undefined {
  const { userns, uidmap, gidmap, explain } = options;
  const root = config.root.value;
  const maps = parseIdMaps(uidmap, gidmap);
  if (maps !== undefined && userns !== undefined) {
    const option = uidmap.length > 0 ? "--uidmap" : "--gidmap";
    throw new CrateError(
      "INVALID",
      `--userns ${userns} and ${option} both say whose users it has: leave one out`,
    );
  }
  if (maps !== undefined) return claimUsers(root, maps, !explain);
  const word = parseUserNamespace(userns ?? config["security.userns"].value);
  if (word === "host") return undefined;
  // What the machine's configuration asks for, a user's containers have anyway.
  if (userns === undefined && !isInitialUserNamespace()) return undefined;
  return claimUsers(root, word, !explain);
}
