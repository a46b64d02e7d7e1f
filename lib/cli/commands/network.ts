import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import { isConfirmed } from "../confirm.ts";
import { findId, reclaimNetworks } from "../../lifecycle/mod.ts";
import {
  inspectNetwork,
  listNetworks,
  loadChanges,
  type NetworkInfo,
  type NetworkPlaces,
  networkPlaces,
  validateRequest,
} from "../../network/mod.ts";
import { parseInteger, parsePair } from "../../spec/mod.ts";
import { runningInit } from "../containers.ts";
import { forEachWord } from "../each.ts";
import { formatAge, formatTable } from "../format.ts";
import { readConfig } from "../globals.ts";
import { networkDefaults } from "../networks.ts";
import { print } from "../print.ts";
import type {
  Globals,
  NetworkConnectCall,
  NetworkCreateCall,
  NetworkDisconnectCall,
  NetworkInspectCall,
  NetworkListCall,
  NetworkPruneCall,
  NetworkRemoveCall,
} from "../words/mod.ts";

async function open(globals: Globals): Promise<{ config: Effective; places: NetworkPlaces }> {
  const config = await readConfig(globals);
  await reclaimNetworks(config.root.value);
  return { config, places: networkPlaces(config.image_root.value) };
}

/** As docker shows one. */
function shown({ definition, members }: NetworkInfo): object {
  const { name, created, driver, internal, subnets, labels, mtu } = definition;
  const containers = members.map(({ id, endpoints }) => {
    const { mac, ip, ip6, interface: inside } = endpoints.find(({ network }) => network === name)!;
    const prefixOf = (six: boolean) =>
      subnets.find(({ subnet }) => subnet.includes(":") === six)?.subnet.split("/")[1];
    return [id, {
      Name: id,
      Interface: inside,
      MacAddress: mac,
      IPv4Address: ip === undefined ? "" : `${ip}/${prefixOf(false)}`,
      IPv6Address: ip6 === undefined ? "" : `${ip6}/${prefixOf(true)}`,
    }] as const;
  });
  return {
    Name: name,
    Created: created,
    Scope: "local",
    Driver: driver,
    EnableIPv6: subnets.some(({ subnet }) => subnet.includes(":")),
    IPAM: {
      Driver: "default",
      Config: subnets.map(({ subnet, gateway }) => ({ Subnet: subnet, Gateway: gateway })),
    },
    Internal: internal,
    Interface: definition.interface ?? "",
    ...mtu !== undefined && { Mtu: mtu },
    Containers: Object.fromEntries(containers),
    Labels: labels,
  };
}

/** `crate network create`. */
export async function create(
  { options, positionals, globals }: NetworkCreateCall,
): Promise<number> {
  const { driver, subnet, gateway, ipv6, internal, mtu, interface: name, label } = options;
  const { places } = await open(globals);
  const made = await (await loadChanges()).makeNetwork(places, positionals[0]!, {
    driver,
    subnets: subnet,
    gateways: gateway,
    ipv6,
    internal,
    // IPv6 has no smaller packets, RFC 8200; the kernel's own bound for interfaces is 65535 and more.
    mtu: mtu === undefined ? undefined : parseInteger(mtu, "--mtu", 1280, 65535),
    interface: name,
    labels: Object.fromEntries(label.map((word) => parsePair(word, "--label"))),
  });
  print(made.name);
  return 0;
}

/** `crate network ls`. */
export async function list({ options, globals }: NetworkListCall): Promise<number> {
  const { places } = await open(globals);
  const found = listNetworks(places);
  if (options.quiet) { for (const { definition } of found) print(definition.name); }
  else if (options.format === "json") print(JSON.stringify(found.map(shown)));
  else {
    const rows = found.map(({ definition, members }) => [
      definition.name,
      definition.driver,
      definition.interface ?? "",
      definition.subnets.map(({ subnet }) => subnet).join(", "),
      formatAge(definition.created),
      members.map(({ id }) => id).join(", "),
    ]);
    const head = ["NETWORK NAME", "DRIVER", "INTERFACE", "SUBNETS", "CREATED", "CONTAINERS"];
    print(formatTable([head, ...rows]));
  }
  return 0;
}

/** `crate network inspect`. */
export async function inspect({ positionals, globals }: NetworkInspectCall): Promise<number> {
  const { places } = await open(globals);
  const found: object[] = [];
  const code = await forEachWord(positionals, (name) => {
    const network = inspectNetwork(places, name);
    if (network === undefined) {
      throw new CrateError(
        "NOT_FOUND",
        `network "${name}" does not exist: crate network ls shows them`,
      );
    }
    found.push(shown(network));
  });
  print(JSON.stringify(found, undefined, 4));
  return code;
}

/** `crate network rm`. */
export async function remove(
  { options, positionals, globals }: NetworkRemoveCall,
): Promise<number> {
  const { places } = await open(globals);
  return await forEachWord(positionals, async (name) => {
    if (options.force && inspectNetwork(places, name) === undefined) return;
    await (await loadChanges()).removeNetwork(places, name);
    print(name);
  });
}

/** `crate network prune`. */
export async function prune({ options, globals }: NetworkPruneCall): Promise<number> {
  if (!isConfirmed("every network that no container is on", options)) return 1;
  for (const name of await pruneUnusedNetworks(await readConfig(globals))) print(name);
  return 0;
}

/** Removes all networks that no container is on. @returns their names. */
export async function pruneUnusedNetworks(config: Effective): Promise<string[]> {
  await reclaimNetworks(config.root.value);
  return await (await loadChanges()).pruneNetworks(networkPlaces(config.image_root.value));
}

/** `crate network connect`. */
export async function connect(
  { options, positionals, globals }: NetworkConnectCall,
): Promise<number> {
  const { config, places } = await open(globals);
  const [network, word] = positionals as [string, string];
  const { ip, ip6, macAddress: mac, alias: aliases } = options;
  const id = findId(config.root.value, word);
  const request = { network, ip, ip6, mac, aliases };
  validateRequest({ endpoints: [request] });
  const init = runningInit(config.root.value, id);
  await (await loadChanges()).connectNetwork({
    places,
    id,
    init,
    request,
    defaults: networkDefaults(config),
  });
  return 0;
}

/** `crate network disconnect`. */
export async function disconnect(
  { positionals, globals }: NetworkDisconnectCall,
): Promise<number> {
  const { config, places } = await open(globals);
  const [network, word] = positionals as [string, string];
  const id = findId(config.root.value, word);
  await (await loadChanges()).disconnectNetwork({
    places,
    id,
    init: runningInit(config.root.value, id),
    network,
  });
  return 0;
}
