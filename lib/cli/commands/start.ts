import { readState, startAgain, startCreated } from "../../lifecycle/mod.ts";
import { forEachContainer } from "../each.ts";
import { readConfig } from "../globals.ts";
import { log } from "../log.ts";
import type { StartCall } from "../words/mod.ts";

/** `crate start`. */
export default async function start({ positionals, globals }: StartCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  return await forEachContainer(root, positionals, async (id) => {
    if (readState(root, id)?.record.engine) {
      await startCreated(root, id, (message) => log("warn", message));
    } else await startAgain(root, id);
  });
}
