import { checkpointContainer, findId } from "../../lifecycle/mod.ts";
import { parseInteger } from "../../spec/mod.ts";
import { readConfig } from "../globals.ts";
import type { CheckpointCall } from "../words/mod.ts";

/** `crate checkpoint`. */
export default async function checkpoint(call: CheckpointCall): Promise<number> {
  const { options, positionals, globals } = call;
  const root = (await readConfig(globals)).root.value;
  const { imagePath = "checkpoint", statusFd, ...rest } = options;
  await checkpointContainer({
    ...rest,
    root,
    id: findId(root, positionals[0]!),
    program: { criu: globals.criu ?? "criu", env: Deno.env.toObject() },
    imagePath,
    statusFd: statusFd === undefined ? undefined : parseInteger(statusFd, "--status-fd", 0, 65535),
  });
  return 0;
}
