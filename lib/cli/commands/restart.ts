import { startAgain, stopContainer } from "../../lifecycle/mod.ts";
import { forEachContainer } from "../each.ts";
import { readConfig } from "../globals.ts";
import type { StopCall } from "../words/mod.ts";
import { timeoutOf } from "./stop.ts";

/** `crate restart`. */
export default async function restart(call: StopCall): Promise<number> {
  const { options, positionals, globals } = call;
  const root = (await readConfig(globals)).root.value;
  const timeout = timeoutOf(options);
  return await forEachContainer(root, positionals, async (id) => {
    await stopContainer(root, id, { signal: options.signal, timeout });
    await startAgain(root, id);
  });
}
