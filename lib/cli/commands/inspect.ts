import { contentOf } from "../../image/mod.ts";
import { readConfig } from "../globals.ts";
import { forEachImage, platformOf, storeOf } from "../images.ts";
import type { InspectCall } from "../words/mod.ts";

/** `crate inspect`: of the images that are there, one JSON array. */
export default async function inspect(call: InspectCall): Promise<number> {
  const { options, positionals, globals } = call;
  const platform = platformOf(options.platform);
  const choice = platform === undefined ? {} : { platform };
  const store = await storeOf(await readConfig(globals), { clean: false });
  const found: unknown[] = [];
  const code = await forEachImage(positionals, (word) => {
    const { chainIds } = contentOf(store.find(word, choice).image);
    const layers = chainIds.map((id) => store.layer(id)?.path);
    // Docker's place for it: the directories, the uppermost first.
    const data = layers.includes(undefined) ? null : { LowerDir: layers.reverse().join(":") };
    found.push({ ...store.inspect(word, choice), GraphDriver: { Name: "overlay", Data: data } });
  });
  console.log(JSON.stringify(found, undefined, 4));
  return code;
}
