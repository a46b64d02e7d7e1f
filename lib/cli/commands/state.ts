import { ociState } from "../../lifecycle/mod.ts";
import { stateOf } from "../each.ts";
import { readConfig } from "../globals.ts";
import { print } from "../print.ts";
import type { StateCall } from "../words/mod.ts";

export { stateTable as table } from "../words/mod.ts";

/** `crate state`. */
export default async function state({ positionals, globals }: StateCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  print(JSON.stringify(ociState(stateOf(root, positionals[0]!)), null, 2));
  return 0;
}
