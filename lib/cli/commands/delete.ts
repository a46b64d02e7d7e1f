import { CrateError } from "../../errors.ts";
import { deleteContainer, findId, IMAGE_ANNOTATION, statePaths } from "../../lifecycle/mod.ts";
import { forEachContainer, matching } from "../each.ts";
import { readConfig } from "../globals.ts";
import { log } from "../log.ts";
import type { DeleteCall } from "../words/mod.ts";

export { deleteTable as table } from "../words/mod.ts";

/** With --force one that is not there is as good as deleted, as for runc and docker. */
function isThere(root: string, word: string): boolean {
  try {
    findId(root, word);
    return true;
  } catch (error) {
    if (error instanceof CrateError && error.code === "NOT_FOUND") return false;
    throw error;
  }
}

/** `crate delete`. */
export default async function remove(call: DeleteCall): Promise<number> {
  const { options, positionals, globals } = call;
  const config = await readConfig(globals);
  const root = config.root.value;
  const { force } = options;
  const words = options.regex
    ? positionals.flatMap((word) => matching(root, word))
    : force
    ? positionals.filter((word) => isThere(root, word))
    : positionals;
  const ofImages: string[] = [];
  const code = await forEachContainer(root, words, async (id, before) => {
    await deleteContainer(root, id, { force, warn: (message) => log("warn", message) });
    if (IMAGE_ANNOTATION in (before?.record.spec.annotations ?? {})) ofImages.push(id);
  });
  if (ofImages.length === 0) return code;
  // What it has written goes with it, and what it needed of the store.
  const store = await (await import("../images.ts")).storeOf(config);
  for (const id of ofImages) store.unpin(statePaths(root, id).directory);
  return code;
}
