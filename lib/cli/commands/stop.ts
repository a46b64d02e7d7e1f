import { stopContainer } from "../../lifecycle/mod.ts";
import { parseInteger } from "../../spec/mod.ts";
import { forContainersAtOnce } from "../each.ts";
import { readConfig } from "../globals.ts";
import type { StopCall } from "../words/mod.ts";

/** `crate stop`. */
export default async function stop({ options, positionals, globals }: StopCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  const timeout = timeoutOf(options);
  return await forContainersAtOnce(
    root,
    positionals,
    (id) => stopContainer(root, id, { signal: options.signal, timeout }),
  );
}

/** `--time`, seconds. @throws {CrateError} `INVALID` */
export function timeoutOf({ time }: StopCall["options"]): number | undefined {
  return time === undefined ? undefined : parseInteger(time, "--time", -1, 2 ** 31 - 1);
}
