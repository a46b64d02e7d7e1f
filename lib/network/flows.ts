import { forgetFlows, formatAddress, type RouteSocket } from "../netlink/mod.ts";
import { isAny } from "./ports.ts";
import type { PortMapping } from "./types.ts";

/** linux/in.h */
const IPPROTO_UDP = 17;

/**
 * Where the packets of a conversation go is decided once, at its first. One by UDP does not end, as far as netfilter
 * knows, while somebody goes on asking from the same port: to a published port it begins anew, or it would go where a
 * container was before, or to nobody.
 *
 * @throws {NetlinkError}
 */
export function redirectFlows(socket: RouteSocket, ports: readonly PortMapping[]): void {
  const published = ports.filter(({ protocol }) => protocol === "udp");
  if (published.length === 0) return;
  const own = new Set(socket.addresses().map(({ address }) => formatAddress(address)));
  forgetFlows(({ protocol, destination, destinationPort }) => {
    if (protocol !== IPPROTO_UDP) return false;
    const address = formatAddress(destination);
    return published.some(({ hostAddress, hostPort }) =>
      hostPort === destinationPort &&
      (isAny(hostAddress) ? own.has(address) : hostAddress === address)
    );
  });
}
