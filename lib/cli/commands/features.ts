import { ociFeatures } from "../../lifecycle/mod.ts";
import { readConfig } from "../globals.ts";
import type { FeaturesCall } from "../words/mod.ts";

/** `crate features`. */
export default async function features({ globals }: FeaturesCall): Promise<number> {
  await readConfig(globals);
  console.log(JSON.stringify(ociFeatures(), null, 2));
  return 0;
}
