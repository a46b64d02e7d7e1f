import { familiar, type Removed } from "../../image/mod.ts";
import { readConfig } from "../globals.ts";
import { forEachImage, storeOf } from "../images.ts";
import { print } from "../print.ts";
import type { RmiCall } from "../words/mod.ts";

/** What is no more, as docker tells it. */
export function tell({ untagged, deleted }: Removed): void {
  for (const name of untagged) print(`Untagged: ${familiar(name)}`);
  for (const id of deleted) print(`Deleted: ${id}`);
}

/** `crate rmi`. */
export default async function remove(call: RmiCall): Promise<number> {
  const { options, positionals, globals } = call;
  const store = await storeOf(await readConfig(globals));
  return await forEachImage(positionals, async (word) => tell(await store.remove(word, options)));
}
