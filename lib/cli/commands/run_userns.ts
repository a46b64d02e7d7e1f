import { isInitialUserNamespace } from "../../../ffi/mod.ts";
import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import { requireUsers, type UserNamespace } from "../../lifecycle/mod.ts";
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
): Exclude<UserNamespace, "host"> | undefined {
  const { userns, uidmap, gidmap } = options;
  const maps = parseIdMaps(uidmap, gidmap);
  if (maps !== undefined && userns !== undefined) {
    const option = uidmap.length > 0 ? "--uidmap" : "--gidmap";
    throw new CrateError(
      "INVALID",
      `--userns ${userns} and ${option} both say whose users it has: leave one out`,
    );
  }
  const word = maps ?? parseUserNamespace(userns ?? config["security.userns"].value);
  if (word === "host") return undefined;
  const isSaid = maps !== undefined || userns !== undefined;
  // What the machine's configuration asks for, a user's containers have anyway.
  if (!isSaid && !isInitialUserNamespace()) return undefined;
  requireUsers();
  return word;
}
