import {
  decodeGeneration,
  generationRequest,
  NETLINK_NETFILTER,
  NetlinkSocket,
} from "../netlink/mod.ts";
import { readLink } from "./links.ts";
import type { FirewallMark, NetworkDefinition } from "./types.ts";

// Most starts find the firewall as it is to be. To know that takes one short question; what else there is about the
// firewall is loaded when it is to be changed.

/** Loads what changes the firewall. */
export const loadFirewall = () => import("./firewall_sync.ts");

/** What changes the firewall. */
export type Firewall = Awaited<ReturnType<typeof loadFirewall>>;

/** The network namespace of this process, by its number. namespaces(7) */
export function ownNamespace(): string {
  return readLink("/proc/thread-self/ns/net");
}

/** Whether nobody has changed any firewall since crate did, and it knows these networks. @throws {NetlinkError} */
export function isAsItWas(
  mark: FirewallMark | undefined,
  networks: readonly NetworkDefinition[],
): boolean {
  if (mark === undefined || networks.some(({ name }) => !mark.networks.includes(name))) {
    return false;
  }
  if (mark.namespace !== ownNamespace()) return false;
  using socket = NetlinkSocket.open(NETLINK_NETFILTER);
  return socket.get(generationRequest(), decodeGeneration) === mark.generation;
}
