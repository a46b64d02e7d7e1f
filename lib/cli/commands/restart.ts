import { startAgain, stopContainer } from "../../lifecycle/mod.ts";
import { forContainersAtOnce } from "../each.ts";
import { readConfig } from "../globals.ts";
import type { StopCall } from "../words/mod.ts";
import { timeoutOf } from "./stop.ts";

/** `crate restart`. */
export default async function restart(call: StopCall): Promise<number> {
  const { options, positionals, globals } = call;
  const root = (await readConfig(globals)).root.value;
  const timeout = timeoutOf(options);
  // Whose network each of them joins, of those that are not on networks of their own.
  const hosts = new Map<string, string>();
  return await forContainersAtOnce(root, positionals, async (id, before, underWay) => {
    const network = before?.record.network;
    if (network?.kind === "container") hosts.set(id, network.id);
    await stopContainer(root, id, { signal: options.signal, timeout });
    // What the other one has then; where it fails, it says so itself.
    const host = hosts.get(id);
    if (host !== undefined && !leadsBack(hosts, id)) await underWay.get(host)?.catch(() => {});
    await startAgain(root, id);
  });
}

/** Whether containers join each other's networks in a circle: who waited for the next one would wait for ever. */
function leadsBack(hosts: ReadonlyMap<string, string>, id: string): boolean {
  const passed = new Set<string>();
  for (let at = hosts.get(id); at !== undefined && !passed.has(at); at = hosts.get(at)) {
    if (at === id) return true;
    passed.add(at);
  }
  return false;
}
