import { exists } from "../../../ffi/mod.ts";
import { findId, renameContainer } from "../../lifecycle/mod.ts";
import { readConfig } from "../globals.ts";
import type { RenameCall } from "../words/mod.ts";

/** `crate rename`. */
export default async function command({ positionals, globals }: RenameCall): Promise<number> {
  const [word, name] = positionals as [string, string];
  const config = await readConfig(globals);
  const root = config.root.value;
  const id = findId(root, word);
  // Where there is no store nobody has anything of it.
  if (!exists(`${config["image_root"].value}/crate`)) {
    await renameContainer(root, id, name);
    return 0;
  }
  const { storeOf } = await import("../images.ts");
  const store = await storeOf(config, { clean: false });
  await renameContainer(root, id, name, (from, to, move) => store.renamed(from, to, move));
  return 0;
}
