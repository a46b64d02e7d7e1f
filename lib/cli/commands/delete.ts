import { deleteContainer, findId, IMAGE_ANNOTATION, readState } from "../../lifecycle/mod.ts";
import { forEachContainer } from "../each.ts";
import { readConfig } from "../globals.ts";
import type { DeleteCall } from "../words/mod.ts";

/** `crate delete`. */
export default async function remove(call: DeleteCall): Promise<number> {
  const { options, positionals, globals } = call;
  const config = await readConfig(globals);
  const root = config.root.value;
  let hadImage = false;
  const code = await forEachContainer(positionals, async (word) => {
    const id = findId(root, word);
    hadImage ||= IMAGE_ANNOTATION in (readState(root, id)?.record.spec.annotations ?? {});
    await deleteContainer(root, id, options.force);
  });
  // What it has written goes with it.
  if (hadImage) await (await import("../images.ts")).storeOf(config);
  return code;
}
