import { ociFeatures } from "../../lifecycle/mod.ts";
import { readConfig } from "../globals.ts";
import { print } from "../print.ts";
import type { FeaturesCall } from "../words/mod.ts";

/** `crate features`. */
export default async function features({ globals }: FeaturesCall): Promise<number> {
  await readConfig(globals);
  print(JSON.stringify(ociFeatures(), null, 2));
  return 0;
}
