import { CrateError } from "../../errors.ts";
import { type ContainerState, isPaused, startCreated, type Starting } from "../../lifecycle/mod.ts";
import { forEachContainer } from "../each.ts";
import { readConfig } from "../globals.ts";
import { log } from "../log.ts";
import type { StartCall } from "../words/mod.ts";

export { startTable as table } from "../words/mod.ts";

/** One that is paused has to be resumed, and not started. */
function runsAlready(state: ContainerState): boolean {
  return state.status === "running" && !isPaused(state);
}

/** `crate start`. */
export default async function start({ positionals, globals }: StartCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  const notifySocket = Deno.env.get("NOTIFY_SOCKET");
  if (notifySocket && positionals.length > 1) {
    throw new CrateError(
      "USAGE",
      "crate start: NOTIFY_SOCKET is set, and one container at a time can tell that it is ready",
    );
  }
  let starting: Starting | undefined;
  const code = await forEachContainer(root, positionals, async (id, before) => {
    if (before?.record.engine) {
      const warn = (message: string) => log("warn", message);
      starting = await startCreated(root, id, warn, notifySocket);
    } else {
      // It is as it was asked to be. A service manager asks for one that tells it when it is ready.
      if (before !== undefined && runsAlready(before) && !notifySocket) return;
      // Engines never do.
      const { startAgain } = await import("../../lifecycle/mod.ts");
      starting = await startAgain(root, id, notifySocket);
    }
  });
  if (starting !== undefined) {
    const { becomeNotifier } = await import("../../lifecycle/mod.ts");
    becomeNotifier(starting);
  }
  return code;
}
