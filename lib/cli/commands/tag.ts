import { readConfig } from "../globals.ts";
import { storeOf } from "../images.ts";
import type { TagCall } from "../words/mod.ts";

/** `crate tag`. */
export default async function tag({ positionals, globals }: TagCall): Promise<number> {
  const [word, name] = positionals as [string, string];
  const store = await storeOf(await readConfig(globals));
  await store.tag(word, name);
  return 0;
}
