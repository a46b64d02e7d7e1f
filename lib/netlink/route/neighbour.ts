import { type Address, formatAddress } from "../address.ts";
import { Writer } from "../attributes.ts";
import { AF_UNSPEC, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../constants.ts";
import { type Message, type Request, splitBody } from "../message.ts";
import { familyOf } from "./address.ts";
import * as c from "./constants.ts";
import { given } from "../given.ts";
import { ndmsg } from "./structs.ts";

const STATES = {
  incomplete: c.NUD_INCOMPLETE,
  reachable: c.NUD_REACHABLE,
  stale: c.NUD_STALE,
  delay: c.NUD_DELAY,
  probe: c.NUD_PROBE,
  failed: c.NUD_FAILED,
  noarp: c.NUD_NOARP,
  permanent: c.NUD_PERMANENT,
} as const;

/** How well a neighbour is known, rtnetlink(7). */
export type NeighbourState = keyof typeof STATES;

/** Who has an address on a link's network: an entry of the tables of ARP and neighbour discovery. */
export interface Neighbour {
  /** The link's number. */
  readonly index: number;
  readonly address: Address;
  /** The hardware address. */
  readonly linkAddress: Uint8Array;
  /** `permanent` when left out. */
  readonly state?: NeighbourState;
  /** In the place of an entry that is there. */
  readonly replace?: boolean;
}

/** An entry, as the kernel tells of it. */
export interface NeighbourEntry {
  readonly index: number;
  readonly address: Address;
  readonly linkAddress?: Uint8Array<ArrayBuffer>;
  readonly state: NeighbourState | number;
}

/** Adds a neighbour. @throws {CrateError} `INVALID` for an address that is none. */
export function addNeighbour(neighbour: Neighbour): Request {
  const { index, address, linkAddress, state = "permanent", replace } = neighbour;
  const w = new Writer().struct(ndmsg, {
    ndm_family: familyOf(address),
    ndm_ifindex: index,
    ndm_state: STATES[state],
  });
  return {
    label: `add the neighbour ${formatAddress(address)}`,
    type: c.RTM_NEWNEIGH,
    flags: NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL),
    body: w.bytes(c.NDA_DST, address).bytes(c.NDA_LLADDR, linkAddress).finish(),
  };
}

/** Removes a neighbour. @throws {CrateError} `INVALID` for an address that is none. */
export function deleteNeighbour({ index, address }: Pick<Neighbour, "index" | "address">): Request {
  const w = new Writer().struct(ndmsg, { ndm_family: familyOf(address), ndm_ifindex: index });
  return {
    label: `delete the neighbour ${formatAddress(address)}`,
    type: c.RTM_DELNEIGH,
    flags: 0,
    body: w.bytes(c.NDA_DST, address).finish(),
  };
}

/** Asks for all neighbours, or for those of one link. */
export function dumpNeighbours(index?: number): Request {
  const w = new Writer().struct(ndmsg, { ndm_family: AF_UNSPEC });
  if (index !== undefined) w.u32(c.NDA_IFINDEX, index);
  return { label: "list the neighbours", type: c.RTM_GETNEIGH, flags: 0, body: w.finish() };
}

/** Reads a neighbour; undefined for one of another family. @throws {CrateError} `FAILED` for a malformed message. */
export function decodeNeighbour(message: Message): NeighbourEntry | undefined {
  const { head, attributes } = splitBody(message, ndmsg.size);
  const address = attributes.bytes(c.NDA_DST);
  if (address === undefined || address.length !== 4 && address.length !== 16) return undefined;
  const state = ndmsg.get(head, "ndm_state");
  const name = Object.entries(STATES).find(([, value]) => value === state)?.[0] as NeighbourState;
  return {
    index: ndmsg.get(head, "ndm_ifindex"),
    address,
    state: name ?? state,
    ...given({ linkAddress: attributes.bytes(c.NDA_LLADDR) }),
  };
}
