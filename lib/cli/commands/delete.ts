import { deleteContainer, findId } from "../../lifecycle/mod.ts";
import { forEachContainer } from "../each.ts";
import { readConfig } from "../globals.ts";
import type { DeleteCall } from "../words/mod.ts";

/** `crate delete`. */
export default async function remove(call: DeleteCall): Promise<number> {
  const { options, positionals, globals } = call;
  const root = (await readConfig(globals)).root.value;
  return await forEachContainer(
    positionals,
    (word) => deleteContainer(root, findId(root, word), options.force),
  );
}
