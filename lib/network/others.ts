import {
  AT_FDCWD,
  encodeText,
  isMissing,
  readText,
  replaceFile,
  trySyscall,
} from "../../ffi/mod.ts";
import type { NetworkPlaces } from "./definitions.ts";
import { networkFiles } from "./files.ts";
import { hostsFiles, linesOn } from "./hosts.ts";
import { makeDirectory, networksKnown, othersFile, placeHead, sameFile, SLOT } from "./slots.ts";
import type { Attachment, NetworkState } from "./types.ts";

// What of `state.json` concerns those whom programs put on a network, for the programs: who else is there, in a file that
// they read each time; and what must be as it was when they were made ready, by a file that is replaced when it is not.

/** More others than so many are told of each other by crate itself. */
export const OTHERS = 8;
const MAX_TEXT = 1 << 20;

/**
 * Tells programs what has changed of a network. Under the lock of networks.
 *
 * @param isHeld whether a container lives.
 * @throws {SyscallError}
 */
export function tellPrograms(
  places: NetworkPlaces,
  state: NetworkState,
  isHeld: (attachment: Attachment) => boolean,
): void {
  const pools = Object.keys(state.pools ?? {});
  for (const network of networksKnown(places)) {
    if (!pools.includes(network)) forget(places, network);
  }
  for (const network of pools) tellOf(places, state, network, isHeld);
}

function tellOf(
  places: NetworkPlaces,
  state: NetworkState,
  network: string,
  isHeld: (attachment: Attachment) => boolean,
): void {
  const hostsFile = hostsFiles({ ...state, attachments: {} });
  const all = Object.values(state.attachments).filter(({ endpoints }) =>
    endpoints.some((each) => each.network === network)
  );
  // To look at each of many takes longer than it is worth.
  const others = all.length > 4 * OTHERS ? all : all.filter(isHeld);
  const heads = others.length > OTHERS ? [undefined] : others.map((each) =>
    placeHead({
      base: encodeText(hostsFile(each)).length,
      path: networkFiles(places, each.key)[0]!.source,
      lines: linesOn([network], each),
    })
  );
  if (heads.includes(undefined)) return forget(places, network);
  makeDirectory(places);
  const bytes = new Uint8Array(SLOT.attachment * heads.length);
  heads.forEach((head, i) => bytes.set(head!, SLOT.attachment * i));
  replaceFile(othersFile(places, network), bytes, 0o600);
  const text = JSON.stringify([state.firewall, state.pools![network]]);
  const file = sameFile(places, network);
  if (contentOf(file) !== text) replaceFile(file, text, 0o600);
}

function forget(places: NetworkPlaces, network: string): void {
  trySyscall("unlinkat", AT_FDCWD, sameFile(places, network), 0);
}

function contentOf(file: string): string | undefined {
  try {
    return readText(file, MAX_TEXT);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
