/**
 * Networks of containers: bridges and macvlans, addresses, ports of the host, names. Spoken to the kernel
 * directly; no program is run and no process stays.
 *
 * @module
 */
export { claimNetworks, type ClaimOptions, type NetworkClaim } from "./claim.ts";
export type { ConnectOptions } from "./connect.ts";
export type { ReadyNetwork } from "./ready_types.ts";
export { type NetworkPlaces, networkPlaces } from "./definitions.ts";
export { type NetworkFile, networkFiles } from "./files.ts";
export { ownHosts } from "./hosts.ts";
export { attachmentOf, inspectNetwork, listNetworks, type NetworkInfo } from "./inspect.ts";
export { DEFAULT_NETWORK, networkName, validateHost } from "./names.ts";
export type { CreateNetworkOptions, NetworkDefaults } from "./networks.ts";
export { ownerOf } from "./owner.ts";
export { collectPorts, formatHost, formatPort, parseExposed, parsePublish } from "./ports.ts";
export { validateRequest } from "./request.ts";
export { type Reserved, reservePorts } from "./reserve.ts";
export { reachableServers, resolvFile } from "./resolv.ts";
/** Loads what changes networks: a start of a container does not. */
export const loadChanges = () => import("./changes.ts");
export type {
  Attachment,
  Driver,
  Endpoint,
  EndpointRequest,
  NetworkDefinition,
  NetworkRequest,
  PortMapping,
  PortRequest,
  Protocol,
  Subnet,
} from "./types.ts";
