import { isConfirmed } from "../confirm.ts";
import { formatSize } from "../format.ts";
import { readConfig } from "../globals.ts";
import { storeOf } from "../images.ts";
import { print } from "../print.ts";
import type { SystemPruneCall } from "../words/mod.ts";
import { pruneContainers } from "./container_prune.ts";
import { pruneUnusedNetworks } from "./network.ts";
import { tell } from "./rmi.ts";
import { pruneVolumes } from "./volume.ts";

/** `crate system prune`: in docker's order, as each makes more of the next one unused. */
export default async function command({ options, globals }: SystemPruneCall): Promise<number> {
  const what = [
    "every container that has ended",
    "every network that no container is on",
    ...options.volumes ? ["every volume without a name that no container uses"] : [],
    options.all ? "every image that no container uses" : "every image that has no name",
  ];
  if (!isConfirmed(`${what.slice(0, -1).join(", ")} and ${what.at(-1)}`, options)) return 1;
  const config = await readConfig(globals);
  const containers = await pruneContainers(config);
  for (const id of containers.removed) print(`Deleted container: ${id}`);
  for (const name of await pruneUnusedNetworks(config)) print(`Deleted network: ${name}`);
  const store = await storeOf(config);
  let freed = containers.freed;
  if (options.volumes) {
    const volumes = await pruneVolumes(store, false);
    for (const name of volumes.removed) print(`Deleted volume: ${name}`);
    freed += volumes.freed;
  }
  const images = await store.prune(options);
  tell(images);
  print(`Reclaimed: ${formatSize(freed + images.freed)}`);
  return 0;
}
