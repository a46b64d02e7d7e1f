import type { NetworkPlaces } from "./definitions.ts";
import { appendHosts, rewriteHosts } from "./files.ts";
import { hostsFiles, linesFor } from "./hosts.ts";
import { sharesNetwork } from "./reclaim.ts";
import type { Attachment, NetworkState } from "./types.ts";

// Containers find each other by their hosts files, and not by a resolver of crate's: nothing runs for it, nothing
// of it can die or keep port 53, a name costs no packet, and it works in a network without a way out. What it
// costs is one short write for each neighbour when a container comes: `deno task bench` has the number.

/** Who came to its networks, and who is there no more. */
export interface Change {
  readonly came?: Attachment;
  readonly gone?: readonly Attachment[];
}

/** Tells a change of who is there to all whom it concerns, by their hosts files. */
export function spreadHosts(
  places: NetworkPlaces,
  state: NetworkState,
  { came, gone = [] }: Change,
): void {
  const hostsFile = hostsFiles(state);
  if (came !== undefined) rewriteHosts(places, came.key, hostsFile(came));
  const left = new Set(gone.flatMap(({ endpoints }) => endpoints.map(({ network }) => network)));
  const joined = new Set(came?.endpoints.map(({ network }) => network));
  for (const other of Object.values(state.attachments)) {
    if (other.id === came?.id) continue;
    if (sharesNetwork(left, other)) rewriteHosts(places, other.key, hostsFile(other));
    else if (came !== undefined && sharesNetwork(joined, other)) {
      appendHosts(places, other.key, linesFor(other, came));
    }
  }
}
