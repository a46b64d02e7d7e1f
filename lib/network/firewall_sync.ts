import { ENOENT } from "../../ffi/mod.ts";
import { NetlinkError, parseAddress, parseSubnet, type Request } from "../netlink/mod.ts";
import {
  addElements,
  deleteElements,
  destroyTable,
  type Element,
  encodeTransaction,
  encodeValues,
  NftablesSocket,
  type Value,
} from "../netlink/nftables/mod.ts";
import { listDefinitions, type NetworkPlaces } from "./definitions.ts";
import { type Elements, elementsOf, isOfFamily, type PublishedPort } from "./firewall.ts";
import { ownNamespace } from "./firewall_mark.ts";
import { makeTable, RULE_NAMES, SET_NAMES, type SetKey, setOf, SHAPE, tableOf } from "./rules.ts";
import { isAny } from "./ports.ts";
import type { FirewallMark, NetworkState, PortMapping, Protocol } from "./types.ts";

export { redirectFlows } from "./flows.ts";

/** linux/in.h */
const PROTOCOLS: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 };

type Wanted = Record<SetKey, Element[]>;

function rangeOf(text: string): Element {
  const { address, prefix } = parseSubnet(text)!;
  const last = address.map((byte, i) => {
    const bits = Math.min(8, Math.max(0, prefix - 8 * i));
    return byte | 0xff >> bits;
  });
  return { key: [address], keyEnd: [last] };
}

/** In which map of a family a port is, and the key that it has there. */
function portKey(
  family: "4" | "6",
  { protocol, hostAddress, hostPort }: PortMapping,
): { set: SetKey; key: readonly Value[] } {
  const number = PROTOCOLS[protocol];
  return isAny(hostAddress)
    ? { set: `ports${family}`, key: [number, hostPort] }
    : { set: `ports${family}_at`, key: [parseAddress(hostAddress)!, number, hostPort] };
}

/** In which map a port is, and its element there. */
function portElement(port: PublishedPort): [SetKey, Element] {
  const { address, containerPort } = port;
  const { set, key } = portKey(address.includes(":") ? "6" : "4", port);
  return [set, { key, data: [parseAddress(address)!, containerPort] }];
}

function wantedOf(elements: Elements): Wanted {
  const wanted: Wanted = {
    bridges: elements.bridges.map((name) => ({ key: [name] })),
    internal: elements.internal.map((name) => ({ key: [name] })),
    same: elements.bridges.map((name) => ({ key: [name, name] })),
    subnets4: elements.subnets4.map(rangeOf),
    subnets6: elements.subnets6.map(rangeOf),
    ports4: [],
    ports4_at: [],
    ports6: [],
    ports6_at: [],
  };
  for (const port of elements.ports) {
    const [set, element] = portElement(port);
    wanted[set].push(element);
  }
  return wanted;
}

/** An element as one text: the same for what is wanted and for what the kernel tells. */
function textOf(set: SetKey, { key, keyEnd = key, data }: Element): string {
  const { keyType, dataType } = setOf("", set);
  const types = (of: typeof keyType) => typeof of === "string" ? [of] : of;
  const hex = (value: Value | readonly Value[], of: typeof keyType) =>
    encodeValues(types(of), value).toHex();
  const given = data === undefined || dataType === undefined ? "" : hex(data, dataType);
  return `${hex(key, keyType)}-${hex(keyEnd, keyType)} ${given}`;
}

/** What is to be changed in a set. */
function changesOf(
  table: string,
  set: SetKey,
  wanted: readonly Element[],
  there: readonly Element[],
): Request[] {
  const byText = (elements: readonly Element[]) =>
    new Map(elements.map((element) => [textOf(set, element), element]));
  const [want, have] = [byText(wanted), byText(there)];
  const surplus = [...have].filter(([text]) => !want.has(text)).map(([, element]) => element);
  const missing = [...want].filter(([text]) => !have.has(text)).map(([, element]) => element);
  const of = setOf(table, set);
  return [...deleteElements(of, surplus), ...addElements(of, missing)];
}

/** Whether the table is there with just the rules that this crate makes. */
function isWhole(socket: NftablesSocket, table: string): boolean {
  const of = tableOf(table);
  const found = socket.tables(of.family).find((each) => each.table === table);
  if (found?.comment !== SHAPE) return false;
  const names = socket.rules(of).map(({ chain, comment = "" }) => `${chain} ${comment}`);
  // Chains come in the order that the kernel has them in.
  return names.sort().join("\n") === [...RULE_NAMES].sort().join("\n");
}

/** What is in the sets; undefined when one is not there. */
function readSets(socket: NftablesSocket, table: string): Wanted | undefined {
  try {
    const entries = SET_NAMES.map((set) => [set, socket.elements(setOf(table, set))] as const);
    if (entries.some(([, elements]) => elements === undefined)) return undefined;
    return Object.fromEntries(entries) as Wanted;
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === ENOENT) return undefined;
    throw error;
  }
}

/**
 * Makes the firewall's table as it is to be, whatever somebody has done to it, in one transaction: what is right already
 * stays. Other tables are left alone.
 *
 * @param definitions the networks that there are to be.
 * @returns by what it is known later that it is still so.
 * @throws {NetlinkError}
 */
export function syncFirewall(
  places: NetworkPlaces,
  state: NetworkState,
  definitions = listDefinitions(places),
): FirewallMark {
  const { table } = places;
  using socket = NftablesSocket.open();
  change(socket, table, wantedOf(elementsOf(definitions, state)));
  return {
    generation: socket.generation(),
    namespace: ownNamespace(),
    networks: definitions.filter(({ driver }) => driver === "bridge").map(({ name }) => name),
  };
}

function change(socket: NftablesSocket, table: string, wanted: Wanted): void {
  const there = isWhole(socket, table) ? readSets(socket, table) : undefined;
  if (there === undefined) {
    const none: readonly Element[] = [];
    socket.transaction([
      ...destroyTable(tableOf(table)),
      ...makeTable(table),
      ...SET_NAMES.flatMap((set) => changesOf(table, set, wanted[set], none)),
    ]);
    return;
  }
  socket.transaction(SET_NAMES.flatMap((set) => changesOf(table, set, wanted[set], there[set])));
}

/** Removes the table, if it is there. @throws {NetlinkError} */
export function removeFirewall(table: string): void {
  using socket = NftablesSocket.open();
  socket.transaction(destroyTable(tableOf(table)));
}

/**
 * Messages that take ports out of the table, to be sent when their container has ended: one for each map, since one
 * that asks for an element that is not there does nothing, and the container may have changed its networks.
 */
export function endOfPorts(
  table: string,
  ports: readonly PortMapping[],
): Uint8Array<ArrayBuffer>[] {
  const sets = new Map<SetKey, Element[]>();
  for (const port of ports) {
    for (const family of ["4", "6"] as const) {
      if (!isOfFamily(port, family)) continue;
      const { set, key } = portKey(family, port);
      sets.set(set, [...sets.get(set) ?? [], { key }]);
    }
  }
  return [...sets].map(([set, elements]) =>
    encodeTransaction(deleteElements(setOf(table, set), elements))
  );
}
