import type { NetworkPlaces } from "./definitions.ts";
import { removeFiles } from "./files.ts";
import { isHeld } from "./state.ts";
import type { Attachment, NetworkState } from "./types.ts";

/** A state without those that nobody holds any more. */
export interface Reclaimed {
  readonly state: NetworkState;
  /** Those that were taken out. */
  readonly gone: readonly Attachment[];
}

/**
 * Takes back what containers had that are gone, by whatever death.
 *
 * @param which the ones to look at; all when left out.
 */
export function reclaim(
  places: NetworkPlaces,
  state: NetworkState,
  which: (attachment: Attachment) => boolean = () => true,
): Reclaimed {
  const gone = Object.values(state.attachments).filter((each) => which(each) && !isHeld(each));
  if (gone.length === 0) return { state, gone };
  const attachments = { ...state.attachments };
  for (const { id, key } of gone) {
    delete attachments[id];
    removeFiles(places, key);
  }
  // Their ports still lead to addresses that others may get: whoever starts next makes the firewall anew.
  const firewall = gone.some(({ ports }) => ports.length > 0) ? undefined : state.firewall;
  return { state: { ...state, attachments, firewall }, gone };
}

/** Networks that two attachments share. */
export function sharesNetwork(networks: ReadonlySet<string>, { endpoints }: Attachment): boolean {
  return endpoints.some(({ network }) => networks.has(network));
}
