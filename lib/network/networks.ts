import { CrateError } from "../errors.ts";
import { parseSubnet, type RouteSocket } from "../netlink/mod.ts";
import {
  listDefinitions,
  type NetworkPlaces,
  readDefinition,
  VERSION,
  writeDefinition,
} from "./definitions.ts";
import { DEFAULT_NETWORK, networkName, validateName } from "./names.ts";
import { isHeld, readNetworkState } from "./state.ts";
import {
  chooseDefault,
  chooseSubnet,
  chooseUnique,
  type Range,
  readSubnet,
  requireFree,
  subnetOf,
} from "./subnets.ts";
import { hasSix } from "./sysctl.ts";
import type { Driver, NetworkDefinition, Subnet } from "./types.ts";

/** What the configuration says of the default network; what is left out is chosen. */
export interface NetworkDefaults {
  readonly bridgeName?: string;
  readonly subnet?: string;
  readonly gateway?: string;
}

/** How to make a network. */
export interface CreateNetworkOptions {
  readonly driver?: Driver;
  /** At most one of each family. */
  readonly subnets?: readonly string[];
  /** For each subnet at most one. */
  readonly gateways?: readonly string[];
  /** IPv6 too, by addresses of its own choice when no subnet is named. */
  readonly ipv6?: boolean;
  readonly internal?: boolean;
  readonly mtu?: number;
  /** The bridge's name, or the interface of the host that a macvlan network hangs on. */
  readonly interface?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Addresses that are somebody's: routes of this host, and networks. */
function takenRanges(socket: RouteSocket, definitions: readonly NetworkDefinition[]): Range[] {
  const networks = definitions.flatMap(({ subnets }) => subnets.map(({ subnet }) => subnet));
  const routes = socket.routes()
    .filter(({ destination, prefix }) => destination !== undefined && prefix > 0)
    .map(({ destination, prefix }) => ({ address: destination!, prefix }));
  return [...networks.map((subnet) => parseSubnet(subnet)!), ...routes];
}

/** `crate0`, `crate1`, …: the first, from a number on, that neither a network nor an interface of the host has. */
function freeInterface(
  socket: RouteSocket,
  definitions: readonly NetworkDefinition[],
  from: number,
): string {
  const taken = new Set(definitions.map((each) => each.interface));
  for (let i = from;; i++) {
    const name = `crate${i}`;
    if (!taken.has(name) && socket.link(name) === undefined) return name;
  }
}

function randomBytes(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(8));
}

function defaultDefinition(
  places: NetworkPlaces,
  socket: RouteSocket,
  { bridgeName, subnet, gateway }: NetworkDefaults,
): NetworkDefinition {
  const definitions = listDefinitions(places);
  const taken = takenRanges(socket, definitions);
  const four = subnet === undefined
    ? chooseDefault(taken)
    : subnetOf(subnet, gateway, "network.subnet:");
  return {
    version: VERSION,
    name: DEFAULT_NETWORK,
    driver: "bridge",
    created: new Date().toISOString(),
    interface: bridgeName ?? freeInterface(socket, definitions, 0),
    subnets: hasSix() ? [four, chooseUnique(randomBytes(), taken)] : [four],
    internal: false,
    labels: {},
  };
}

/** The default network is as the configuration says, or it says that it cannot be. @throws {CrateError} `INVALID` */
function requireAgreement(found: NetworkDefinition, defaults: NetworkDefaults): void {
  const [four] = found.subnets;
  const disagreement = ([
    ["network.bridge_name", defaults.bridgeName, found.interface],
    [
      "network.subnet",
      defaults.subnet && subnetOf(defaults.subnet, undefined, "network.subnet:").subnet,
      four?.subnet,
    ],
    ["network.gateway", defaults.gateway, four?.gateway],
  ] as const).find(([, said, is]) => said !== undefined && said !== is);
  if (disagreement === undefined) return;
  const [key, said, is] = disagreement;
  throw new CrateError(
    "INVALID",
    `${key} is ${said}, but network ${found.name} was made with ${is}: ` +
      `it is made anew after crate network rm ${found.name}`,
  );
}

/**
 * A network by its name; the default one is made when it is not there.
 *
 * @throws {CrateError} `NOT_FOUND`
 */
export function findNetwork(
  places: NetworkPlaces,
  socket: RouteSocket,
  word: string,
  defaults: NetworkDefaults,
): NetworkDefinition {
  const name = networkName(word);
  const found = readDefinition(places, name);
  if (name !== DEFAULT_NETWORK) {
    if (found !== undefined) return found;
    throw new CrateError(
      "NOT_FOUND",
      `network "${name}" does not exist: crate network ls shows them`,
    );
  }
  if (found !== undefined) {
    requireAgreement(found, defaults);
    return found;
  }
  const made = defaultDefinition(places, socket, defaults);
  writeDefinition(places, made);
  return made;
}

/** The subnets that somebody named, with their gateways. */
function namedSubnets(options: CreateNetworkOptions, taken: readonly Range[]): Subnet[] {
  const { subnets = [], gateways = [], driver = "bridge" } = options;
  const used = new Set<string>();
  const found = subnets.map((text) => {
    const range = readSubnet(text, "--subnet");
    // A macvlan network has the addresses of the network that the host is on.
    if (driver === "bridge") requireFree(range, taken, "--subnet");
    const gateway = gateways.find((each) => each.includes(":") === text.includes(":"));
    if (gateway !== undefined) used.add(gateway);
    return subnetOf(text, gateway, "--subnet");
  });
  const unused = gateways.find((each) => !used.has(each));
  if (unused !== undefined) {
    throw new CrateError("INVALID", `--gateway ${unused} is in no --subnet`);
  }
  for (const family of ["IPv4", "IPv6"]) {
    const isSix = family === "IPv6";
    if (found.filter(({ subnet }) => subnet.includes(":") === isSix).length > 1) {
      throw new CrateError("INVALID", `--subnet: a network has one subnet of ${family} at most`);
    }
  }
  return found;
}

/**
 * Makes a network; its bridge is made when the first container needs it.
 *
 * @throws {CrateError} `EXISTS`; `INVALID` for options that do not go together.
 */
export function createNetwork(
  places: NetworkPlaces,
  socket: RouteSocket,
  name: string,
  options: CreateNetworkOptions = {},
): NetworkDefinition {
  validateName(name);
  if (readDefinition(places, name) !== undefined) {
    throw new CrateError("EXISTS", `network "${name}" exists already`);
  }
  const { driver = "bridge", mtu, internal = false, labels = {} } = options;
  const definitions = listDefinitions(places);
  const definition: NetworkDefinition = {
    version: VERSION,
    name,
    driver,
    created: new Date().toISOString(),
    ...interfaceFor(driver, socket, definitions, options),
    subnets: subnetsFor(options, takenRanges(socket, definitions)),
    internal,
    ...mtu !== undefined && { mtu },
    labels,
  };
  writeDefinition(places, definition);
  return definition;
}

function interfaceFor(
  driver: Driver,
  socket: RouteSocket,
  definitions: readonly NetworkDefinition[],
  { interface: named }: CreateNetworkOptions,
): Pick<NetworkDefinition, "interface"> {
  if (driver === "none") {
    if (named === undefined) return {};
    throw new CrateError("INVALID", "--interface: a network of driver none has no interface");
  }
  if (driver === "bridge") {
    if (named === undefined) return { interface: freeInterface(socket, definitions, 1) };
    const other = definitions.find((each) => each.interface === named && each.driver === "bridge");
    if (other !== undefined) {
      throw new CrateError("EXISTS", `--interface ${named} is network ${other.name}'s`);
    }
    if (socket.link(named) === undefined) return { interface: named };
    throw new CrateError("EXISTS", `--interface ${named}: this host has an interface of this name`);
  }
  const parent = named ?? defaultInterface(socket);
  if (parent === undefined) {
    throw new CrateError(
      "INVALID",
      "a macvlan network hangs on an interface: name it (--interface)",
    );
  }
  if (socket.link(parent) === undefined) {
    throw new CrateError("NOT_FOUND", `--interface: this host has no interface ${parent}`);
  }
  return { interface: parent };
}

/** The interface by which this host goes out. */
function defaultInterface(socket: RouteSocket): string | undefined {
  const route = socket.routes().find(({ destination, prefix, index }) =>
    destination === undefined && prefix === 0 && index !== undefined
  );
  return socket.links().find(({ index }) => index === route?.index)?.name;
}

function subnetsFor(options: CreateNetworkOptions, taken: readonly Range[]): Subnet[] {
  const { driver = "bridge", ipv6 = false } = options;
  const named = namedSubnets(options, taken);
  if (driver === "none") {
    if (named.length === 0 && !ipv6) return [];
    throw new CrateError("INVALID", "--subnet, --ipv6: a network of driver none has no addresses");
  }
  const has = (six: boolean) => named.some(({ subnet }) => subnet.includes(":") === six);
  if (driver === "macvlan") {
    if (named.length > 0) return named;
    throw new CrateError(
      "INVALID",
      "a macvlan network has addresses of the network that the interface is on: name them (--subnet)",
    );
  }
  return [
    ...named,
    ...named.length > 0 ? [] : [chooseSubnet(taken)],
    ...ipv6 && !has(true) ? [chooseUnique(randomBytes(), taken)] : [],
  ];
}

/** Containers that are on a network now, by id. */
export function membersOf(places: NetworkPlaces, name: string): string[] {
  return Object.values(readNetworkState(places).attachments)
    .filter(({ endpoints }) => endpoints.some(({ network }) => network === name))
    .filter(isHeld).map(({ id }) => id).sort();
}

/** A network that nobody is on. @throws {CrateError} `NOT_FOUND`; `STATE` when somebody is. */
export function unusedNetwork(places: NetworkPlaces, word: string): NetworkDefinition {
  const name = networkName(word);
  const definition = readDefinition(places, name);
  if (definition === undefined) {
    throw new CrateError(
      "NOT_FOUND",
      `network "${name}" does not exist: crate network ls shows them`,
    );
  }
  const members = membersOf(places, name);
  if (members.length > 0) {
    throw new CrateError(
      "STATE",
      `network "${name}" is in use by ${members.join(", ")}: stop them, or disconnect them`,
    );
  }
  return definition;
}
