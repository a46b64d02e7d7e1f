import { CrateError } from "../../errors.ts";
import { findId, waitForContainer } from "../../lifecycle/mod.ts";
import { readConfig } from "../globals.ts";
import { log } from "../log.ts";
import { print } from "../print.ts";
import type { WaitCall } from "../words/mod.ts";

/** `crate wait`. */
export default async function wait({ positionals, globals }: WaitCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  let code = 0;
  for (const word of positionals) {
    try {
      print(String(await waitForContainer(root, findId(root, word))));
    } catch (error) {
      if (!(error instanceof CrateError)) throw error;
      log("error", error.message);
      code = error.exitCode;
    }
  }
  return code;
}
