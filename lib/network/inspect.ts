import { listDefinitions, type NetworkPlaces, readDefinition } from "./definitions.ts";
import { networkName } from "./names.ts";
import { isHeld, readNetworkState } from "./state.ts";
import type { Attachment, NetworkDefinition } from "./types.ts";

/** A network and who is on it. */
export interface NetworkInfo {
  readonly definition: NetworkDefinition;
  readonly members: readonly Attachment[];
}

/** Containers on networks that run. */
function living(places: NetworkPlaces): Attachment[] {
  return Object.values(readNetworkState(places).attachments).filter(isHeld);
}

function infoOf(definition: NetworkDefinition, attachments: readonly Attachment[]): NetworkInfo {
  const members = attachments
    .filter(({ endpoints }) => endpoints.some(({ network }) => network === definition.name))
    .sort((a, b) => a.id < b.id ? -1 : 1);
  return { definition, members };
}

/** Every network, by name. */
export function listNetworks(places: NetworkPlaces): NetworkInfo[] {
  const attachments = living(places);
  return listDefinitions(places).map((definition) => infoOf(definition, attachments));
}

/** A network by one of its names; undefined when there is none. */
export function inspectNetwork(places: NetworkPlaces, word: string): NetworkInfo | undefined {
  const definition = readDefinition(places, networkName(word));
  return definition && infoOf(definition, living(places));
}

/** What a running container has of networks; undefined when nothing. */
export function attachmentOf(places: NetworkPlaces, id: string): Attachment | undefined {
  const found = readNetworkState(places).attachments[id];
  return found !== undefined && isHeld(found) ? found : undefined;
}
