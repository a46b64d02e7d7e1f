import { findId, ociState, readState } from "../../lifecycle/mod.ts";
import { readConfig } from "../globals.ts";
import type { StateCall } from "../words/mod.ts";

/** `crate state`. */
export default async function state({ positionals, globals }: StateCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  const found = readState(root, findId(root, positionals[0]!))!;
  console.log(JSON.stringify(ociState(found), null, 2));
  return 0;
}
