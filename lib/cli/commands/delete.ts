import { CrateError } from "../../errors.ts";
import { deleteContainer, findId, IMAGE_ANNOTATION } from "../../lifecycle/mod.ts";
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
  let hadImage = false;
  const code = await forEachContainer(root, words, async (id, before) => {
    hadImage ||= IMAGE_ANNOTATION in (before?.record.spec.annotations ?? {});
    await deleteContainer(root, id, { force, warn: (message) => log("warn", message) });
  });
  // What it has written goes with it.
  if (hadImage) await (await import("../images.ts")).storeOf(config);
  return code;
}
