/**
 * Links, addresses, routes and neighbours, rtnetlink(7): requests as values, answers as plain objects, and a socket
 * that carries both.
 *
 * @module
 */
export {
  addLink,
  type BridgeOptions,
  type BridgePort,
  deleteLink,
  dumpLinks,
  getLink,
  type InNamespace,
  type IpvlanMode,
  type LinkChange,
  type LinkOptions,
  type LinkSelector,
  type MacvlanMode,
  type NewLink,
  setLink,
  type VethPeer,
} from "./link.ts";
export { decodeLink, type Link, type LinkStatistics } from "./link_decode.ts";
export {
  addAddress,
  type AddressEntry,
  decodeAddress,
  deleteAddress,
  dumpAddresses,
  type LinkAddress,
  type Scope,
} from "./address.ts";
export {
  addRoute,
  decodeRoute,
  deleteRoute,
  dumpRoutes,
  type Route,
  type RouteEntry,
  type RouteType,
} from "./route.ts";
export {
  addNeighbour,
  decodeNeighbour,
  deleteNeighbour,
  dumpNeighbours,
  type Neighbour,
  type NeighbourEntry,
  type NeighbourState,
} from "./neighbour.ts";
export { decodeNamespaceId, getNamespaceId, type NamespaceSelector } from "./namespace_id.ts";
export { RouteSocket } from "./socket.ts";
