import { CrateError } from "../errors.ts";
import type { NetworkPlaces } from "./definitions.ts";
import { renamedHosts } from "./hosts.ts";
import { inWords } from "./failure.ts";
import { reclaim } from "./reclaim.ts";
import { spreadHosts } from "./spread.ts";
import { readNetworkState, withNetworks, writeNetworkState } from "./state.ts";

/**
 * Gives a container on its networks another name, by which others find it from now on; one that is on none is fine.
 *
 * @param hostname what it calls itself, which stays.
 * @throws {CrateError} `EXISTS` when another container on these networks has the name.
 */
export async function renameAttachment(
  places: NetworkPlaces,
  from: string,
  to: string,
  hostname: string,
): Promise<void> {
  await inWords(() =>
    withNetworks(places, () => {
      const all = readNetworkState(places);
      const { state, gone } = reclaim(places, all, ({ id }) => id === to || id === from);
      const before = state.attachments[from];
      if (state.attachments[to] !== undefined) {
        throw new CrateError("EXISTS", `the name "${to}" is in use by a container on networks`);
      }
      if (before === undefined) {
        if (gone.length > 0) writeNetworkState(places, state);
        return;
      }
      const { [from]: _, ...others } = state.attachments;
      const came = { ...before, id: to, hosts: renamedHosts(before, to, hostname) };
      const next = { ...state, attachments: { ...others, [to]: came } };
      writeNetworkState(places, next);
      spreadHosts(places, next, { came, gone: [before, ...gone] });
    })
  );
}
