/**
 * The kernel's networks, spoken to directly: netlink(7), links and addresses and routes (rtnetlink(7)). No
 * program is run for any of it. `nftables/mod.ts` stands on it, a protocol of its own that few need.
 *
 * @example
 * ```ts ignore
 * import * as netlink from "jsr:@crate/cli/netlink";
 * using routes = netlink.RouteSocket.open();
 * routes.execute([netlink.addLink({ name: "br0", kind: "bridge", up: true })]);
 * ```
 *
 * @module
 */
export * from "./address.ts";
export { NetlinkError } from "./errors.ts";
export { NETLINK_NETFILTER, NETLINK_ROUTE } from "./constants.ts";
export { encodeRequests, type Message, type Request } from "./message.ts";
export { type Flow, forgetFlows } from "./conntrack.ts";
export { NetlinkSocket, type SocketOptions } from "./socket.ts";
export { inNamespace } from "./namespace.ts";
export * from "./route/mod.ts";
export { decodeGeneration, generationAnswer, generationRequest } from "./generation.ts";
