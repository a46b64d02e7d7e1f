import { NETLINK_ROUTE } from "../constants.ts";
import type { Request } from "../message.ts";
import { NetlinkSocket, type SocketOptions } from "../socket.ts";
import { type AddressEntry, decodeAddress, dumpAddresses } from "./address.ts";
import { dumpLinks, getLink, type LinkSelector } from "./link.ts";
import { decodeLink, type Link } from "./link_decode.ts";
import { decodeNamespaceId, getNamespaceId, type NamespaceSelector } from "./namespace_id.ts";
import { decodeNeighbour, dumpNeighbours, type NeighbourEntry } from "./neighbour.ts";
import { decodeRoute, dumpRoutes, type RouteEntry } from "./route.ts";

/**
 * Links, addresses, routes and neighbours of one network namespace, rtnetlink(7).
 *
 * Every method throws {@linkcode NetlinkError} when the kernel refuses.
 *
 * @example
 * ```ts
 * import { RouteSocket } from "./socket.ts";
 * using socket = RouteSocket.open();
 * if (socket.link("lo")?.index !== 1) throw new Error();
 * ```
 */
export class RouteSocket implements Disposable {
  readonly #socket: NetlinkSocket;

  /** Over a conversation of `NETLINK_ROUTE`: {@linkcode open} makes one. */
  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Opens a socket in this process's network namespace or in another one. @throws {NetlinkError} */
  static open(options?: SocketOptions): RouteSocket {
    return new RouteSocket(NetlinkSocket.open(NETLINK_ROUTE, options));
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  /** Does requests in order, in one call. @throws {NetlinkError} the first that fails. */
  execute(requests: readonly Request[]): void {
    this.#socket.execute(requests);
  }

  links(): Link[] {
    return this.#socket.dump(dumpLinks(), decodeLink);
  }

  /** The link of a name or a number; undefined when there is none. */
  link(link: string | number | LinkSelector): Link | undefined {
    const selector = typeof link === "string"
      ? { name: link }
      : typeof link === "number"
      ? { index: link }
      : link;
    return this.#socket.get(getLink(selector), decodeLink);
  }

  /** All addresses, or those of one link. */
  addresses(index?: number): AddressEntry[] {
    return this.#socket.dump(dumpAddresses(index), decodeAddress);
  }

  /** The routes of all tables. */
  routes(): RouteEntry[] {
    return this.#socket.dump(dumpRoutes(), decodeRoute);
  }

  /** All neighbours, or those of one link. */
  neighbours(index?: number): NeighbourEntry[] {
    return this.#socket.dump(dumpNeighbours(index), decodeNeighbour);
  }

  /** By which id this namespace knows another one; undefined when it does not. */
  namespaceId(namespace: NamespaceSelector): number | undefined {
    return this.#socket.get(getNamespaceId(namespace), decodeNamespaceId);
  }
}
