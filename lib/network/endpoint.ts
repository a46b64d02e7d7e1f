import { close, EEXIST, ENODEV, O_RDONLY, open, randomHex } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import {
  addAddress,
  addLink,
  addRoute,
  deleteLink,
  inNamespace,
  NetlinkError,
  parseAddress,
  type Request,
  RouteSocket,
  setLink,
} from "../netlink/mod.ts";
import { parseMac } from "./allocate.ts";
import { InterfaceSocket } from "./interface.ts";
import { readSubnet } from "./subnets.ts";
import { type Setting, writeNewSetting } from "./sysctl.ts";
import type { Endpoint, NetworkDefinition } from "./types.ts";

/** An endpoint and the network that it is on. */
export interface Plug {
  readonly endpoint: Endpoint;
  readonly definition: NetworkDefinition;
  /** The gateways by which the container goes out, if it does so here. */
  readonly gateways: readonly string[];
  /** It may meet itself at a port of the host. */
  readonly isPublished: boolean;
}

/** By which gateway a container goes out, and through which of its interfaces. */
export interface WayOut {
  readonly gateway: string;
  readonly interface: string;
}

/** For each family of addresses the way out of the first network that has one. */
export function waysOut(
  endpoints: readonly Endpoint[],
  definitions: readonly NetworkDefinition[],
): WayOut[] {
  const all = endpoints.flatMap(({ network, interface: name, ip, ip6 }) => {
    const definition = definitions.find((each) => each.name === network);
    if (definition === undefined || definition.internal) return [];
    return definition.subnets
      .filter(({ gateway }) => (gateway.includes(":") ? ip6 : ip) !== undefined)
      .map(({ gateway }) => ({ gateway, interface: name }));
  });
  return [false, true].flatMap((six) =>
    all.find(({ gateway }) => gateway.includes(":") === six) ?? []
  );
}

/** The gateways of ways that go through an interface. */
export function gatewaysAt({ interface: name }: Endpoint, ways: readonly WayOut[]): string[] {
  return ways.filter((way) => way.interface === name).map(({ gateway }) => gateway);
}

/** Gives a container ways out; one that it has made itself stays. */
export function route(namespace: number, ways: readonly WayOut[]): void {
  if (ways.length === 0) return;
  using inside = RouteSocket.open({ namespace });
  for (const { gateway, interface: name } of ways) {
    const index = inside.link(name)!.index;
    try {
      inside.execute([addRoute({ gateway: parseAddress(gateway)!, index })]);
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.errno !== EEXIST) throw error;
    }
  }
}

/** A name for the end of a pair that stays on the host; IFNAMSIZ allows 15 characters. */
export function hostInterfaceName(): string {
  return `veth${randomHex(4)}`;
}

/** A network namespace by a process in it; the descriptor is the caller's to close. */
export function openNetworkNamespace(pid: number): number {
  return open(`/proc/${pid}/ns/net`, O_RDONLY);
}

/**
 * Puts interfaces into a container's network namespace: there, up, with their addresses and routes when this
 * returns.
 *
 * @param link gives the number of the host's interface of a network: its bridge, or what a macvlan hangs on.
 * @throws {NetlinkError} Then none of them is left.
 */
export function plugIn(
  socket: RouteSocket,
  pid: number,
  plugs: readonly Plug[],
  link: (definition: NetworkDefinition) => number,
): void {
  if (plugs.length === 0) return;
  const namespace = openNetworkNamespace(pid);
  const made: Plug[] = [];
  try {
    for (const plug of plugs) {
      socket.execute([interfaceOf(plug, namespace, link(plug.definition))]);
      made.push(plug);
      // Where netfilter sees what a bridge forwards (br_netfilter), the bridge itself sends that back.
      const { hostInterface } = plug.endpoint;
      if (plug.isPublished && hostInterface !== undefined) {
        socket.execute([setLink({ name: hostInterface, bridgePort: { hairpin: true } })]);
      }
    }
    inNamespace(namespace, () => {
      using interfaces = new InterfaceSocket();
      using inside = RouteSocket.open();
      inside.execute(plugs.flatMap((plug) => {
        for (const [name, value] of newSettings(plug.endpoint)) writeNewSetting(name, value);
        return settings(plug, interfaces.index(plug.endpoint.interface)!);
      }));
    });
  } catch (error) {
    for (const plug of made) unplug(socket, plug.endpoint, namespace);
    throw error;
  } finally {
    close(namespace);
  }
}

/** One message: both ends of a pair, one in the bridge and one in the container; or a macvlan in it. */
export function interfaceOf(
  { endpoint, definition }: Plug,
  namespaceFd: number,
  on: number,
): Request {
  const { interface: name, hostInterface } = endpoint;
  const address = parseMac(endpoint.mac);
  const mtu = definition.mtu === undefined ? {} : { mtu: definition.mtu };
  if (definition.driver === "macvlan") {
    return addLink({
      name,
      kind: "macvlan",
      macvlanMode: "bridge",
      parent: on,
      address,
      namespaceFd,
      ...mtu,
    });
  }
  return addLink({
    name: hostInterface!,
    kind: "veth",
    master: on,
    up: true,
    ...mtu,
    peer: { name, address, namespaceFd, ...mtu },
  });
}

/** Neighbours on a network are no routers, and one without IPv6 has no use for link-local addresses. */
export function newSettings({ interface: name, ip6 }: Endpoint): Setting[] {
  return [
    [`ipv6/conf/${name}/accept_ra`, "0"],
    ...ip6 === undefined ? [[`ipv6/conf/${name}/disable_ipv6`, "1"] as const] : [],
  ];
}

/** In the container: up, addresses, the way out. */
export function settings({ endpoint, definition, gateways }: Plug, index: number): Request[] {
  const requests: Request[] = [setLink({ index, up: true })];
  const routes: Request[] = [];
  for (const { subnet, gateway } of definition.subnets) {
    const range = readSubnet(subnet, `network ${definition.name}:`);
    const own = range.address.length === 4 ? endpoint.ip : endpoint.ip6;
    if (own === undefined) continue;
    requests.push(
      addAddress({ index, address: parseAddress(own)!, prefix: range.prefix, noDad: true }),
    );
    if (gateways.includes(gateway)) {
      routes.push(addRoute({ gateway: parseAddress(gateway)!, index }));
    }
  }
  return [...requests, ...routes];
}

/** Takes an interface out of a container again; one that is gone already is fine. */
export function unplug(socket: RouteSocket, endpoint: Endpoint, namespace: number): void {
  const remove = (where: RouteSocket, name: string) => {
    try {
      where.execute([deleteLink({ name })]);
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.errno !== ENODEV) throw error;
    }
  };
  if (endpoint.hostInterface !== undefined) return remove(socket, endpoint.hostInterface);
  using inside = RouteSocket.open({ namespace });
  remove(inside, endpoint.interface);
}

/** The host's interface that a macvlan network hangs on. @throws {CrateError} `NOT_FOUND` */
export function parentOf({ name, interface: parent }: NetworkDefinition): number {
  using socket = new InterfaceSocket();
  const index = socket.index(parent!);
  if (index !== undefined) return index;
  throw new CrateError("NOT_FOUND", `network ${name}: this host has no interface ${parent}`);
}
