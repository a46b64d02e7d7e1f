import { close, type ProcessId } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { RouteSocket } from "../netlink/mod.ts";
import { allocateAddresses } from "./allocate.ts";
import { ensureBridge } from "./bridge.ts";
import { listDefinitions, type NetworkPlaces } from "./definitions.ts";
import {
  gatewaysAt,
  hostInterfaceName,
  openNetworkNamespace,
  parentOf,
  plugIn,
  route,
  unplug,
  waysOut,
} from "./endpoint.ts";
import { inWords } from "./failure.ts";
import { redirectFlows, syncFirewall } from "./firewall_sync.ts";
import { networkName } from "./names.ts";
import { findNetwork, type NetworkDefaults } from "./networks.ts";
import { reclaim } from "./reclaim.ts";
import { spreadHosts } from "./spread.ts";
import { readNetworkState, withNetworks, writeNetworkState } from "./state.ts";
import type { Attachment, Endpoint, EndpointRequest, NetworkState } from "./types.ts";

/** A running container, and what is to change about its networks. */
export interface ConnectOptions {
  readonly places: NetworkPlaces;
  readonly id: string;
  readonly init: ProcessId;
  readonly request: EndpointRequest;
  readonly defaults: NetworkDefaults;
}

function attachmentOf(state: NetworkState, id: string): Attachment {
  const found = state.attachments[id];
  if (found !== undefined) return found;
  throw new CrateError(
    "STATE",
    `container "${id}" has no network of crate's: it runs with --network none, host, or another's`,
  );
}

/** `eth0`, `eth1`, …: the first that the container has not. */
function freeName(endpoints: readonly Endpoint[]): string {
  for (let i = 0;; i++) {
    const name = `eth${i}`;
    if (endpoints.every((each) => each.interface !== name)) return name;
  }
}

/** Publishes what has changed: the state, the firewall, the names. */
function settle(
  socket: RouteSocket,
  places: NetworkPlaces,
  state: NetworkState,
  changed: Attachment,
  gone: Attachment[],
) {
  const next = { ...state, attachments: { ...state.attachments, [changed.id]: changed } };
  writeNetworkState(places, { ...next, firewall: syncFirewall(places, next) });
  redirectFlows(socket, changed.ports);
  spreadHosts(places, next, { came: changed, gone });
}

/**
 * Puts a running container on one more network.
 *
 * @throws {CrateError} `STATE` when it is on it already, or has no network at all; as `claimNetworks`.
 */
export async function connectNetwork(options: ConnectOptions): Promise<void> {
  const { places, id, init, request, defaults } = options;
  await inWords(() =>
    withNetworks(places, () => {
      using socket = RouteSocket.open();
      const definition = findNetwork(places, socket, request.network, defaults);
      const { state, gone } = reclaim(places, readNetworkState(places));
      const attachment = attachmentOf(state, id);
      const { name } = definition;
      if (attachment.endpoints.some(({ network }) => network === name)) {
        throw new CrateError("STATE", `container "${id}" is on network ${name} already`);
      }
      if (definition.driver === "none") {
        throw new CrateError(
          "INVALID",
          `network ${name} has driver none: nobody can be connected to it`,
        );
      }
      const link = definition.driver === "bridge"
        ? ensureBridge(socket, definition, state)
        : parentOf(definition);
      const { last, pools, ...addresses } = allocateAddresses(definition, request, state);
      const endpoint: Endpoint = {
        network: name,
        interface: freeName(attachment.endpoints),
        ...definition.driver === "bridge" && { hostInterface: hostInterfaceName() },
        ...addresses,
        aliases: request.aliases ?? [],
      };
      // The network that gave it its way out stays the one.
      const ways = waysOut([...attachment.endpoints, endpoint], listDefinitions(places));
      const gateways = gatewaysAt(endpoint, ways);
      const isPublished = attachment.ports.length > 0;
      const changed = {
        ...attachment,
        endpoints: [...attachment.endpoints, endpoint],
        hosts: attachment.hosts + ownLine(attachment, endpoint),
      };
      const next = { ...state, last, pools, attachments: { ...state.attachments, [id]: changed } };
      // First that it has the interface: one that nobody knew of could not be taken away again.
      writeNetworkState(places, next);
      try {
        plugIn(socket, init.pid, [{ endpoint, definition, gateways, isPublished }], () => link);
      } catch (error) {
        writeNetworkState(places, state);
        throw error;
      }
      settle(socket, places, { ...state, last, pools }, changed, [attachment, ...gone]);
    })
  );
}

/** Its own name stands for its address on each network. */
function ownLine({ id }: Attachment, { ip, ip6 }: Endpoint): string {
  return [ip, ip6].filter((each) => each !== undefined).map((each) => `${each}\t${id}\n`).join("");
}

/**
 * Takes a running container off a network.
 *
 * @throws {CrateError} `STATE` when it is not on it.
 */
export async function disconnectNetwork(
  { places, id, init, network }: Omit<ConnectOptions, "request" | "defaults"> & {
    readonly network: string;
  },
): Promise<void> {
  const name = networkName(network);
  await inWords(() =>
    withNetworks(places, () => {
      const { state, gone } = reclaim(places, readNetworkState(places));
      const attachment = attachmentOf(state, id);
      const endpoint = attachment.endpoints.find((each) => each.network === name);
      if (endpoint === undefined) {
        throw new CrateError("STATE", `container "${id}" is not on network ${name}`);
      }
      const endpoints = attachment.endpoints.filter((each) => each !== endpoint);
      const known = listDefinitions(places);
      const had = waysOut(attachment.endpoints, known).map(({ gateway }) => gateway);
      using socket = RouteSocket.open();
      const namespace = openNetworkNamespace(init.pid);
      try {
        unplug(socket, endpoint, namespace);
        route(namespace, waysOut(endpoints, known).filter(({ gateway }) => !had.includes(gateway)));
      } finally {
        close(namespace);
      }
      const own = new Set([endpoint.ip, endpoint.ip6]);
      const hosts = attachment.hosts.split("\n")
        .filter((line) => !own.has(line.split("\t")[0]))
        .join("\n");
      settle(socket, places, state, { ...attachment, endpoints, hosts }, [attachment, ...gone]);
    })
  );
}
