import { isConfirmed } from "../confirm.ts";
import { formatSize } from "../format.ts";
import { readConfig } from "../globals.ts";
import { storeOf } from "../images.ts";
import { print } from "../print.ts";
import type { PruneCall } from "../words/mod.ts";
import { tell } from "./rmi.ts";

/** `crate prune`. */
export default async function prune({ options, globals }: PruneCall): Promise<number> {
  const { all } = options;
  const what = all ? "every image that no container uses" : "every image that has no name";
  if (!isConfirmed(what, options)) return 1;
  const store = await storeOf(await readConfig(globals));
  const removed = await store.prune(options);
  tell(removed);
  print(`Reclaimed: ${formatSize(removed.freed)}`);
  return 0;
}
