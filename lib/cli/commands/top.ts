import { CrateError } from "../../errors.ts";
import { containerProcesses } from "../../lifecycle/mod.ts";
import { stateOf } from "../each.ts";
import { formatTable } from "../format.ts";
import { readConfig } from "../globals.ts";
import { print } from "../print.ts";
import type { TopCall } from "../words/mod.ts";

/** `1:02:03` */
function formatTime(seconds: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  return `${two(seconds / 3600)}:${two(seconds / 60 % 60)}:${two(seconds % 60)}`;
}

/** `crate top`. */
export default async function top({ positionals, globals }: TopCall): Promise<number> {
  const config = await readConfig(globals);
  const { record, status } = stateOf(config.root.value, positionals[0]!);
  if (status !== "running") {
    throw new CrateError("STATE", `container not running: "${record.id}" is ${status}`);
  }
  print(formatTable([
    ["PID", "IN CONTAINER", "PARENT", "UID", "TIME", "COMMAND"],
    ...containerProcesses(record).map((
      { pid, innerPid, parent, uid, time, command },
    ) => [...[pid, innerPid, parent, uid].map(String), formatTime(time), command]),
  ]));
  return 0;
}
