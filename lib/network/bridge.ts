import { CrateError } from "../errors.ts";
import {
  addAddress,
  addLink,
  type Address,
  deleteLink,
  formatAddress,
  type Link,
  parseAddress,
  type RouteSocket,
  setLink,
} from "../netlink/mod.ts";
import { isOwnMac, macOf, parseMac } from "./allocate.ts";
import { InterfaceSocket, lineOfAddress6 } from "./interface.ts";
import { readSubnet } from "./subnets.ts";
import { forward, hasSix, type Setting, writeSetting } from "./sysctl.ts";
import type { NetworkDefinition, NetworkState, Subnet } from "./types.ts";

/** The addresses that the host has on a network's bridge. */
function gatewaysOf({ name, subnets }: NetworkDefinition): { address: Address; prefix: number }[] {
  return subnets.map(({ subnet, gateway }: Subnet) => ({
    address: parseAddress(gateway)!,
    prefix: readSubnet(subnet, `network ${name}:`).prefix,
  }));
}

/**
 * A network's bridge, when it is as it was made, by a short look: by its state and its addresses.
 *
 * @returns its number.
 */
export function readyBridge(definition: NetworkDefinition): number | undefined {
  const { interface: name, subnets } = definition;
  const gatewayOf = (six: boolean) =>
    subnets.find(({ gateway }) => gateway.includes(":") === six)?.gateway;
  const [gateway, gateway6] = [gatewayOf(false), gatewayOf(true)];
  if (gateway === undefined) return undefined;
  using socket = new InterfaceSocket();
  const index = socket.index(name!);
  if (index === undefined || !socket.isUp(name!)) return undefined;
  if (socket.address(name!)?.join(".") !== gateway) return undefined;
  const six = hasSix();
  if (six && gateway6 !== undefined && lineOfAddress6(name!, gateway6) === undefined) {
    return undefined;
  }
  prepare(definition, six);
  return index;
}

/** Settings of a bridge. */
export function bridgeSettings({ interface: name }: NetworkDefinition, six: boolean): Setting[] {
  return [
    // Containers are not this host's routers (CVE-2020-13401).
    ...six ? [[`ipv6/conf/${name}/accept_ra`, "0"] as const] : [],
    // What comes from the host's own loopback to a published port leaves by the bridge; nothing else gets through to
    // 127.0.0.0/8 that way: the firewall sees to it.
    [`ipv4/conf/${name}/route_localnet`, "1"],
  ];
}

/** Settings of the host for a bridge. */
function prepare(definition: NetworkDefinition, six: boolean): void {
  for (const [name, value] of bridgeSettings(definition, six)) writeSetting(name, value);
  // An internal network's containers are not sent on anywhere; nor does it make the host a router.
  if (!definition.internal) forward(six);
}

/**
 * The bridge of a network: made when it is not there, and made whole when somebody has changed it.
 *
 * @param state tells whose interfaces are on it.
 * @returns its number.
 * @throws {CrateError} `EXISTS` when an interface of this name is no bridge.
 * @throws {NetlinkError}
 */
export function ensureBridge(
  socket: RouteSocket,
  definition: NetworkDefinition,
  state: NetworkState,
): number {
  const { interface: name, mtu } = definition;
  const found = socket.link(name!);
  if (found !== undefined && found.kind !== "bridge") {
    throw new CrateError(
      "EXISTS",
      `network ${definition.name}: the interface ${name} is there, and is no bridge`,
    );
  }
  const link = found ?? makeBridge(socket, definition);
  try {
    const six = hasSix();
    prepare(definition, six);
    const there = new Set(
      found && socket.addresses(found.index).map(({ address }) => formatAddress(address)),
    );
    const missing = gatewaysOf(definition).filter(({ address }) =>
      (six || address.length === 4) && !there.has(formatAddress(address))
    );
    const { index } = link;
    const changes = {
      ...!link.up && { up: true },
      ...mtu !== undefined && mtu !== link.mtu && { mtu },
    };
    socket.execute([
      ...missing.map((each) => addAddress({ ...each, index, noDad: true })),
      ...Object.keys(changes).length > 0 ? [setLink({ index, ...changes })] : [],
    ]);
    if (found === undefined) rejoin(socket, definition, link, state);
  } catch (error) {
    if (found === undefined) socket.execute([deleteLink({ index: link.index })]);
    throw error;
  }
  return link.index;
}

function makeBridge(
  socket: RouteSocket,
  { interface: name, mtu, subnets }: NetworkDefinition,
): Link {
  socket.execute([
    addLink({
      name: name!,
      kind: "bridge",
      // A bridge without one takes its ports' lowest, and changes it as they come and go. One that is made again
      // has the same again: containers know it.
      address: parseMac(macOf(subnets[0]?.gateway)),
      ...mtu !== undefined && { mtu },
    }),
  ]);
  return socket.link(name!)!;
}

/** Puts the interfaces into a bridge that were in it before somebody had removed it. */
function rejoin(
  socket: RouteSocket,
  { name }: NetworkDefinition,
  { index }: Link,
  { attachments }: NetworkState,
): void {
  for (const { endpoints, ports } of Object.values(attachments)) {
    for (const { network, hostInterface } of endpoints) {
      if (network !== name || hostInterface === undefined) continue;
      // That of a container that has ended, or is only being started, is not there.
      if (socket.link(hostInterface) === undefined) continue;
      const hairpin = ports.length > 0;
      socket.execute([
        setLink({ name: hostInterface, master: index }),
        ...hairpin ? [setLink({ name: hostInterface, bridgePort: { hairpin } })] : [],
      ]);
    }
  }
}

/** Removes a network's bridge, if it is there; one that somebody else has made stays. */
export function removeBridge(socket: RouteSocket, { interface: name }: NetworkDefinition): void {
  const link = name === undefined ? undefined : socket.link(name);
  if (link?.kind !== "bridge" || !isOwnMac(link.address)) return;
  socket.execute([deleteLink({ index: link.index })]);
}
