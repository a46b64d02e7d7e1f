import { resumeContainer } from "../../lifecycle/mod.ts";
import { forEachContainer } from "../each.ts";
import { readConfig } from "../globals.ts";
import type { PauseCall } from "../words/mod.ts";

/** `crate resume`. */
export default async function resume({ positionals, globals }: PauseCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  return await forEachContainer(root, positionals, (id) => resumeContainer(root, id));
}
