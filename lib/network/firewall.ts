import type { NetworkDefinition, NetworkState, PortMapping } from "./types.ts";

// What crate's table of the firewall is to hold, as plain words: a function of what networks and containers
// there are. All that changes with them is in sets and maps; the rules are always the same.

/** The sets and maps of the table, each with its elements: key and, in a map, value; addresses and names as texts. */
export interface Elements {
  /** Bridges' interfaces. */
  readonly bridges: readonly string[];
  /** Those of networks without a way out. */
  readonly internal: readonly string[];
  /** Subnets whose containers go out under this host's address. */
  readonly subnets4: readonly string[];
  readonly subnets6: readonly string[];
  readonly ports: readonly PublishedPort[];
}

/** A port of the host, and where it leads. */
export interface PublishedPort extends PortMapping {
  /** The container's address, of the family of the map that this is in. */
  readonly address: string;
}

/** What the table is to hold. */
export function elementsOf(
  definitions: readonly NetworkDefinition[],
  state: NetworkState,
): Elements {
  const bridged = definitions.filter(({ driver }) => driver === "bridge");
  const outgoing = bridged.filter(({ internal }) => !internal)
    .flatMap(({ subnets }) => subnets.map(({ subnet }) => subnet));
  const published: PublishedPort[] = [];
  for (const attachment of Object.values(state.attachments)) {
    published.push(...publishedPorts(attachment, definitions));
  }
  return {
    bridges: bridged.map(({ interface: name }) => name!),
    internal: bridged.filter(({ internal }) => internal).map(({ interface: name }) => name!),
    subnets4: outgoing.filter((subnet) => !subnet.includes(":")),
    subnets6: outgoing.filter((subnet) => subnet.includes(":")),
    ports: published,
  };
}

/** A container's ports lead to its first address of each family on a bridge that is not internal. */
export function publishedPorts(
  { endpoints, ports }: Pick<NetworkState["attachments"][string], "endpoints" | "ports">,
  definitions: readonly NetworkDefinition[],
): PublishedPort[] {
  if (ports.length === 0) return [];
  const reachable = endpoints.filter(({ network }) =>
    definitions.some(({ name, driver, internal }) =>
      name === network && driver === "bridge" && !internal
    )
  );
  const four = reachable.find(({ ip }) => ip !== undefined)?.ip;
  const six = reachable.find(({ ip6 }) => ip6 !== undefined)?.ip6;
  return ports.flatMap((port) => [
    ...four !== undefined && isOfFamily(port, "4") ? [{ ...port, address: four }] : [],
    ...six !== undefined && isOfFamily(port, "6") ? [{ ...port, address: six }] : [],
  ]);
}

/** Whether a port is for addresses of a family: both, where none is said. */
export function isOfFamily({ hostAddress }: PortMapping, family: "4" | "6"): boolean {
  return hostAddress === undefined || hostAddress.includes(":") === (family === "6");
}
