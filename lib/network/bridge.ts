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
import { macOf, parseMac } from "./allocate.ts";
import { InterfaceSocket } from "./interface.ts";
import { readSubnet } from "./subnets.ts";
import { forward, hasSix, writeSetting } from "./sysctl.ts";
import type { NetworkDefinition, Subnet } from "./types.ts";

/** The addresses that the host has on a network's bridge. */
function gatewaysOf({ name, subnets }: NetworkDefinition): { address: Address; prefix: number }[] {
  return subnets.map(({ subnet, gateway }: Subnet) => ({
    address: parseAddress(gateway)!,
    prefix: readSubnet(subnet, `network ${name}:`).prefix,
  }));
}

/** Whether a network's bridge is as it was made, by its state and its IPv4 address. @returns its number */
export function readyBridge(
  { interface: name, subnets, internal }: NetworkDefinition,
): number | undefined {
  const gateway = subnets.find(({ gateway }) => !gateway.includes(":"))?.gateway;
  if (gateway === undefined) return undefined;
  using socket = new InterfaceSocket();
  const index = socket.index(name!);
  if (index === undefined || !socket.isUp(name!)) return undefined;
  if (socket.address(name!)?.join(".") !== gateway) return undefined;
  if (!internal) forward(hasSix());
  return index;
}

/**
 * The bridge of a network: as it is when it is there, made when it is not.
 *
 * @throws {CrateError} `EXISTS` when an interface of this name is no bridge.
 * @returns its number.
 * @throws {NetlinkError}
 */
export function ensureBridge(socket: RouteSocket, definition: NetworkDefinition): number {
  const name = definition.interface!;
  const found = socket.link(name);
  if (found !== undefined && found.kind !== "bridge") {
    throw new CrateError(
      "EXISTS",
      `network ${definition.name}: the interface ${name} is there, and is no bridge`,
    );
  }
  const six = hasSix();
  const wanted = gatewaysOf(definition).filter(({ address }) => six || address.length === 4);
  if (found?.up) {
    const there = new Set(
      socket.addresses(found.index).map(({ address }) => formatAddress(address)),
    );
    const missing = wanted.filter(({ address }) => !there.has(formatAddress(address)));
    socket.execute(missing.map((each) => addAddress({ ...each, index: found.index, noDad: true })));
    prepare(definition, six);
    return found.index;
  }
  return makeBridge(socket, definition, wanted, found);
}

function makeBridge(
  socket: RouteSocket,
  definition: NetworkDefinition,
  wanted: ReturnType<typeof gatewaysOf>,
  found: Link | undefined,
): number {
  const { interface: name, mtu } = definition;
  const six = hasSix();
  if (found === undefined) {
    socket.execute([
      addLink({
        name: name!,
        kind: "bridge",
        // A bridge without one takes its ports' lowest, and changes it as they come and go.
        address: parseMac(macOf(undefined)),
        ...mtu !== undefined && { mtu },
      }),
    ]);
  }
  const link = socket.link(name!)!;
  try {
    prepare(definition, six);
    socket.execute([
      ...wanted.map((each) => addAddress({ ...each, index: link.index, noDad: true })),
      setLink({ index: link.index, up: true }),
    ]);
  } catch (error) {
    if (found === undefined) socket.execute([deleteLink({ index: link.index })]);
    throw error;
  }
  return link.index;
}

/** Settings of the host for a bridge. */
function prepare({ interface: name, internal }: NetworkDefinition, six: boolean): void {
  // Containers are not this host's routers (CVE-2020-13401).
  writeSetting(`ipv6/conf/${name}/accept_ra`, "0");
  // What comes from the host's own loopback to a published port leaves by the bridge; nothing else gets through to
  // 127.0.0.0/8 that way: the firewall sees to it.
  writeSetting(`ipv4/conf/${name}/route_localnet`, "1");
  // An internal network's containers are not sent on anywhere; nor does it make the host a router.
  if (!internal) forward(six);
}

/** Removes a network's bridge, if it is there. */
export function removeBridge(socket: RouteSocket, { interface: name }: NetworkDefinition): void {
  const link = name === undefined ? undefined : socket.link(name);
  if (link?.kind === "bridge") socket.execute([deleteLink({ index: link.index })]);
}
