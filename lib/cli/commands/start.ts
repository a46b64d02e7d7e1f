import { findId, startAgain } from "../../lifecycle/mod.ts";
import { forEachContainer } from "../each.ts";
import { readConfig } from "../globals.ts";
import type { StartCall } from "../words/mod.ts";

/** `crate start`. */
export default async function start({ positionals, globals }: StartCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  return await forEachContainer(positionals, (word) => startAgain(root, findId(root, word)));
}
