import { CrateError } from "../../errors.ts";
import { findId, killAllOf, killContainer, parseSignal } from "../../lifecycle/mod.ts";
import { matching } from "../each.ts";
import { readConfig } from "../globals.ts";
import { log } from "../log.ts";
import type { KillCall } from "../words/mod.ts";

export { killTable as table } from "../words/mod.ts";

/** `crate kill`. */
export default async function kill({ options, positionals, globals }: KillCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  const [word, positional] = positionals as [string, string?];
  if (positional !== undefined && options.signal !== undefined) {
    throw new CrateError("USAGE", "crate kill: the signal is given twice");
  }
  const signal = parseSignal(options.signal ?? positional ?? "KILL");
  const ids = options.regex ? matching(root, word) : [findId(root, word)];
  let code = 0;
  for (const id of ids) {
    try {
      if (options.all) killAllOf(root, id, signal);
      else killContainer(root, id, signal);
    } catch (error) {
      if (!options.regex || !(error instanceof CrateError)) throw error;
      log("error", error.message);
      code = error.exitCode;
    }
  }
  return code;
}
