import { RouteSocket } from "../netlink/mod.ts";
import { withoutPool } from "./allocate.ts";
import { removeBridge } from "./bridge.ts";
import { listDefinitions, type NetworkPlaces, removeDefinition } from "./definitions.ts";
import { inWords } from "./failure.ts";
import { removeFirewall, syncFirewall } from "./firewall_sync.ts";
import { createNetwork, type CreateNetworkOptions, membersOf, unusedNetwork } from "./networks.ts";
import { reclaim } from "./reclaim.ts";
import { removeSlots } from "./slots.ts";
import { readNetworkState, withNetworks, writeNetworkState } from "./state.ts";
import { spreadHosts } from "./spread.ts";
import type { NetworkDefinition } from "./types.ts";

/** Makes a network. @throws {CrateError} as `createNetwork` */
export async function makeNetwork(
  places: NetworkPlaces,
  name: string,
  options: CreateNetworkOptions,
): Promise<NetworkDefinition> {
  return await inWords(() =>
    withNetworks(places, () => {
      using socket = RouteSocket.open();
      return createNetwork(places, socket, name, options);
    })
  );
}

/** Takes back all that dead containers had, and says so to those who live. */
function collect(places: NetworkPlaces): void {
  const { state, gone } = reclaim(places, readNetworkState(places));
  if (gone.length === 0) return;
  writeNetworkState(places, state);
  spreadHosts(places, state, { gone });
}

/**
 * Removes networks that nobody is on: their definitions last, so that whatever a crate that was killed meanwhile has left
 * is still found by them.
 */
function removeUnused(places: NetworkPlaces, unused: readonly NetworkDefinition[]): void {
  using socket = RouteSocket.open();
  for (const each of unused) if (each.driver === "bridge") removeBridge(socket, each);
  const names = new Set(unused.map(({ name }) => name));
  const rest = listDefinitions(places).filter(({ name }) => !names.has(name));
  const state = [...names].reduce(withoutPool, readNetworkState(places));
  const has = rest.some(({ driver }) => driver === "bridge");
  if (!has) removeFirewall(places.table);
  const firewall = has ? syncFirewall(places, state, rest) : undefined;
  writeNetworkState(places, { ...state, firewall });
  for (const name of names) {
    removeSlots(places, name);
    removeDefinition(places, name);
  }
}

/**
 * Removes a network that nobody is on: its bridge and all about it in the firewall; with the last network the
 * firewall's table.
 *
 * @throws {CrateError} `NOT_FOUND`; `STATE` when a container is on it.
 */
export async function removeNetwork(places: NetworkPlaces, word: string): Promise<void> {
  await inWords(() =>
    withNetworks(places, () => {
      collect(places);
      removeUnused(places, [unusedNetwork(places, word)]);
    })
  );
}

/** Removes all networks that nobody is on. @returns their names. */
export async function pruneNetworks(places: NetworkPlaces): Promise<string[]> {
  return await inWords(() =>
    withNetworks(places, () => {
      collect(places);
      const unused = listDefinitions(places).filter(({ name }) =>
        membersOf(places, name).length === 0
      );
      removeUnused(places, unused);
      return unused.map(({ name }) => name);
    })
  );
}
