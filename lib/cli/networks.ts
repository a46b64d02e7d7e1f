import type { Effective } from "../config/mod.ts";
import { type ContainerState, foreignOf } from "../lifecycle/mod.ts";
import {
  attachmentOf,
  inspectNetwork,
  type NetworkDefaults,
  networkPlaces,
} from "../network/mod.ts";
import type { NetworkSettings } from "./inspection.ts";

/** What a running container has of networks; undefined when it has none. */
export async function networkOf(
  root: string,
  { record, status }: ContainerState,
): Promise<NetworkSettings | undefined> {
  if (status !== "running") return undefined;
  if (record.network?.kind === "foreign") return await foreignOf(root, record);
  if (record.network?.kind !== "networks") return undefined;
  const places = networkPlaces(record.network.store);
  const attachment = attachmentOf(places, record.id);
  if (attachment === undefined) return undefined;
  const networks = attachment.endpoints
    .map(({ network }) => inspectNetwork(places, network)?.definition)
    .filter((definition) => definition !== undefined);
  return { attachment, networks };
}

/** What the configuration says of the default network. */
export function networkDefaults(config: Effective): NetworkDefaults {
  return {
    bridgeName: config["network.bridge_name"].value,
    subnet: config["network.subnet"].value,
    gateway: config["network.gateway"].value,
  };
}
