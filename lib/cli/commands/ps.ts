import { CrateError } from "../../errors.ts";
import { containerPids } from "../../lifecycle/mod.ts";
import { stateOf } from "../each.ts";
import { readConfig } from "../globals.ts";
import { print } from "../print.ts";
import type { PsCall } from "../words/mod.ts";

/** `crate ps`. */
export default async function ps({ options, positionals, globals }: PsCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  const option = positionals[1];
  if (option !== undefined) {
    throw new CrateError(
      "USAGE",
      `crate ps prints process ids and runs no ps(1), got "${option}": crate top shows more`,
    );
  }
  const { record, status } = stateOf(root, positionals[0]!);
  if (status === "stopped") {
    throw new CrateError("STATE", `container not running: "${record.id}" is ${status}`);
  }
  const pids = containerPids(record);
  if (options.format === "json") print(JSON.stringify(pids));
  else print(["PID", ...pids].join("\n"));
  return 0;
}
